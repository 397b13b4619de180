"""Binary upgrade (USR2): the new binary takes the sockets; no request fails; a broken one changes nothing."""
import os
import shutil
import signal
import threading

import pytest

from harness import POSTERN, Client, Origin, alive, config, parent_of, reply, wait_for
from load import Load
from test_websocket import UPGRADE, echo


def upgradable(gateway, conf, **kw):
    """A gateway whose binary is a copy of its own."""
    g = gateway(conf, start=False, **kw)
    g.binary = g.path("postern")
    shutil.copy(POSTERN, g.binary)
    g.start()
    return g


def replace(g, source=POSTERN):
    shutil.copy(source, g.path("postern.new"))
    os.chmod(g.path("postern.new"), 0o755)
    os.rename(g.path("postern.new"), g.path("postern"))


def main_pid(g):
    got = [m["MAINPID"] for m, _ in g.notify.pump() if "MAINPID" in m]
    return int(got[-1]) if got else None


def pid_file(g):
    try:
        with open(g.path("run", "postern.pid")) as f:
            return int(f.read())
    except (OSError, ValueError):
        return None


def upgrade(g):
    """USR2, and waits until another master is the master."""
    old = g.master
    g.signal(signal.SIGUSR2)
    new = wait_for(lambda: (lambda p: p if p and p != old and alive(p) else None)(pid_file(g)), "the pid file of a new master")
    wait_for(lambda: main_pid(g) == new, "MAINPID of the new master")
    g.adopt(new)
    return old, new


def gone(g, pid):
    g.proc.poll()
    return not alive(pid)


@pytest.mark.slow
def test_under_load(gateway, origin):
    o = origin()
    g = upgradable(gateway, config(o, workers=2, gateway='drain = "5s";'))
    g.stable = False
    with Load(g, kept=4, fresh=3) as load:
        for _ in range(3):
            replace(g)
            old, new = upgrade(g)
            load.more(60)
            wait_for(lambda: gone(g, old), "the end of the old master", timeout=30)
            load.more(20)
    assert not load.bad, load.bad[:5]
    g.pids = g.children()
    assert len(g.workers()) == 2


@pytest.mark.slow
def test_signals_in_any_order(gateway, origin):
    """HUP, USR1 and USR2 as they come, under load: nothing fails, one master is left, and it is in its right mind."""
    import random
    o = origin()
    g = upgradable(gateway, config(o, workers=2, gateway='drain = "2s"; policies = ( { type = "access-log"; path = "@DIR@/access.log"; } );'))
    g.stable = False
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rnd = random.Random(seed)
    with Load(g, kept=3, fresh=2) as load:
        for _ in range(40):
            pid = pid_file(g)
            if pid and alive(pid):
                g.adopt(pid)
                try:
                    os.kill(pid, rnd.choice([signal.SIGHUP, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]))
                except ProcessLookupError:
                    pass
            load.more(rnd.randrange(1, 40))
        load.more(50)
    assert not load.bad, load.bad[:5]

    def settled():
        pid = pid_file(g)
        return pid and alive(pid) and pid == main_pid_or_first(g) and len(set(p for p in g.all_pids() if parent_of(p) not in g.all_pids())) == 1
    wait_for(settled, "one master", timeout=40)
    g.adopt(pid_file(g))
    assert len(g.workers()) == 2
    g.write(config(o, workers=2, routes='{ match = "* /*"; respond = 204; }'))
    g.signal(signal.SIGHUP)

    def new():
        return g.get("/").status == 204
    wait_for(new, "the last configuration")


def main_pid_or_first(g):
    return main_pid(g) or g.proc.pid


def test_serves_afterwards(gateway, origin):
    """The new one reloads, counts on, and stops."""
    o = origin()
    g = upgradable(gateway, config(o, workers=2, gateway='drain = "3s";'))
    g.stable = False
    for _ in range(10):
        g.get("/")
    wait_for(lambda: g.counter("requests_total") >= 10, "ten requests")
    old, new = upgrade(g)
    wait_for(lambda: gone(g, old), "the end of the old master")
    for _ in range(10):
        assert g.get("/").status == 200
    wait_for(lambda: g.counter("requests_total") >= 20, "counters that go on")
    g.reload(config(o, workers=2, routes='{ match = "* /*"; respond = 204; }'))
    assert g.get("/").status == 204
    g.signal(signal.SIGTERM)
    wait_for(lambda: not alive(new), "the end of the new master")
    with pytest.raises(OSError):
        g.client()


def test_running_work_finishes(gateway, origin):
    """A request and a tunnel begun before go on in the old workers until the drain deadline."""
    go = threading.Event()

    def answer(r):
        if r.target == "/slow":
            go.wait(30)
        return reply()
    o, p = origin(answer), origin(script=echo)
    g = upgradable(gateway, config(o, upstreams='ws: { targets = [ "%s" ]; };' % p.target, gateway='drain = "60s";',
                                   routes='{ match = "* /ws"; to = "ws"; }, { match = "* /*"; to = "origin"; }'))
    g.stable = False
    ws = g.client()
    assert ws.ask("GET", "/ws", headers=UPGRADE).status == 101
    with g.client() as c, g.client() as kept:
        assert kept.get("/").status == 200
        c.request("GET", "/slow")
        wait_for(lambda: any(q.target == "/slow" for q in o.heads), "the request at the origin")
        old, new = upgrade(g)
        ws.send(b"ping")
        assert ws.read_exact(4) == b"ping"
        r = kept.get("/")               # an old worker says that it is the last
        assert r.status == 200 and r.closes
        go.set()
        r = c.response()
        assert r.status == 200
    assert g.get("/").status == 200
    ws.close()
    wait_for(lambda: gone(g, old), "the end of the old master")


def test_drain_deadline(gateway, origin):
    """A tunnel that does not end is cut at the deadline, and the old master ends."""
    p = origin(script=echo)
    g = upgradable(gateway, config(p, gateway='drain = "700ms";'))
    g.stable = False
    ws = g.client()
    assert ws.ask("GET", "/ws", headers=UPGRADE).status == 101
    old, new = upgrade(g)
    ws.at_end()
    wait_for(lambda: gone(g, old), "the end of the old master")
    ws.close()


BROKEN = {"exits": "#!/bin/sh\nexit 1\n", "hangs_then_dies": "#!/bin/sh\nsleep 1\nkill -9 $$\n", "not_executable_format": "garbage\0\1\2\n", "missing": None}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_binary(gateway, origin, how):
    o = origin()
    g = upgradable(gateway, config(o, workers=2))
    pids, old = g.children(), g.master
    with Load(g) as load:
        if BROKEN[how] is None:
            os.unlink(g.path("postern"))
        else:
            with open(g.path("postern.new"), "w") as f:
                f.write(BROKEN[how])
            os.chmod(g.path("postern.new"), 0o755)
            os.rename(g.path("postern.new"), g.path("postern"))
        before = g.log()
        g.signal(signal.SIGUSR2)
        wait_for(lambda: len(g.log()) > len(before) and "upgrade" in g.log()[len(before):].lower() or "new binary" in g.log()[len(before):].lower(), "a word about it in the log")
        wait_for(lambda: g.children() == pids, "the new one gone")
        load.more(20)
        assert pid_file(g) == old and alive(old)
    assert not load.bad, load.bad[:3]
    assert "REJECTED" not in g.reload()
    # And the real one afterwards works.
    replace(g)
    g.stable = False
    upgrade(g)
    assert g.get("/").status == 200


def test_bad_configuration_refuses(gateway, origin):
    """The new binary cannot load the files as they are now: the old one goes on."""
    o = origin()
    g = upgradable(gateway, config(o, workers=2))
    pids, old = g.children(), g.master
    g.write(config(o, workers=2).replace('to = "origin"', 'to = "orign"'))
    before = len(g.log())
    g.signal(signal.SIGUSR2)
    wait_for(lambda: "error" in g.log()[before:] and g.children() == pids, "a refusal")
    assert g.get("/").status == 200 and pid_file(g) == old
