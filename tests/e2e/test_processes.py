"""Processes: kill -9 of each, crash loops, stops, the pid file, two masters, an unprivileged user."""
import os
import pwd
import signal
import socket
import threading
import time

import pytest

from harness import DEADLINE, WATCHED, Client, Gateway, Origin, alive, config, reply, wait_for
from load import Load


def get(g, target="/"):
    try:
        with Client(g.port, timeout=5) as c:
            return c.get(target).status
    except (OSError, Exception):
        return None


def test_worker_is_replaced(gateway, origin):
    o = origin()
    g = gateway(config(o, workers=2))
    g.stable = False
    for _ in range(3):
        before = g.workers()
        began = time.monotonic()
        os.kill(before[0], signal.SIGKILL)
        after = wait_for(lambda: (lambda w: len(w) == 2 and before[0] not in w and w)(g.workers()), "another worker in the place of the dead one")
        assert before[1] in after, "the other worker was replaced too"
        print("replaced within %.0f ms" % ((time.monotonic() - began) * 1000))
        for _ in range(10):
            assert g.get("/").status == 200
    assert "killed by signal 9" in g.log()


def test_connections_of_other_workers_live(gateway, origin):
    """Only what the dead worker held is lost; its sockets are not: connections that waited are accepted by the next."""
    o = origin()
    g = gateway(config(o, workers=2))
    g.stable = False
    clients = [g.client() for _ in range(20)]
    for c in clients:
        assert c.get("/").status == 200
    victim = g.workers()[0]
    os.kill(victim, signal.SIGKILL)
    lost = 0
    for c in clients:
        try:
            assert c.get("/").status == 200
        except (ConnectionError, Exception) as e:
            if isinstance(e, AssertionError):
                raise
            lost += 1
        c.close()
    assert 0 < lost < 20
    for _ in range(40):                 # none of the new ones is refused
        assert g.get("/").status == 200


def test_new_connections_never_refused(gateway, origin):
    """While workers are killed again and again connects succeed; requests fail at most while one dies."""
    o = origin()
    g = gateway(config(o, workers=2))
    g.stable = False
    stop = threading.Event()
    refused = []

    def knock():
        while not stop.is_set():
            try:
                Client(g.port, timeout=20).close()
            except OSError as e:
                refused.append(e)
    t = threading.Thread(target=knock)
    t.start()
    for i in range(4):
        w = g.workers()
        os.kill(w[i % len(w)], signal.SIGKILL)
        wait_for(lambda: len(g.workers()) == 2, "two workers")
        time.sleep(0.2)
    stop.set()
    t.join()
    assert not refused, refused[:3]


def test_keeper_is_replaced(gateway, origin):
    o = origin()
    g = gateway(config(o, workers=2))
    g.stable = False
    before, workers = g.keeper(), g.workers()
    assert before
    with Load(g) as load:
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: g.keeper() not in (None, before), "another keeper")
        load.more(20)
    assert not load.bad, load.bad[:3]
    assert g.workers() == workers


def test_all_at_once(gateway, origin):
    g = gateway(config(origin(), workers=2))
    g.stable = False
    before = g.children()
    for p in before:
        os.kill(p, signal.SIGKILL)
    wait_for(lambda: len(g.workers()) == 2 and g.keeper() and not set(g.children()) & set(before), "all new")
    assert g.get("/").status == 200
    assert g.reload()


def test_crash_loop(gateway, origin):
    """A worker that keeps dying is said so, is started ever later, and the other one serves."""
    o = origin()
    g = gateway(config(o, workers=2))
    g.stable = False
    stays = g.workers()[1]
    end = time.monotonic() + 60
    deaths = 0
    while "KEEPS DYING" not in g.notify.status() and time.monotonic() < end:
        rows = [p for p in g.stat()["processes"] if p["role"] == "worker" and p["number"] == 0]
        for p in rows:
            try:
                os.kill(p["pid"], signal.SIGKILL)
                deaths += 1
            except ProcessLookupError:
                pass
        time.sleep(0.02)
    assert "worker 0 KEEPS DYING" in g.notify.status(), g.notify.status()
    assert deaths >= 3 and "keeps dying" in g.log()
    assert alive(stays)
    wait_for(lambda: len(g.workers()) == 2, "recovery")
    wait_for(lambda: "KEEPS DYING" not in g.notify.status(), "a STATUS without it", timeout=30)
    assert g.get("/").status == 200


def test_master_dies(gateway, origin):
    """kill -9 of the master: its children end by themselves, and the next start takes over everything."""
    o = origin()
    g = gateway(config(o, workers=2))
    for _ in range(10):
        assert g.get("/").status == 200
    wait_for(lambda: g.counter("requests_total") >= 10, "ten requests counted")
    pids = g.children()
    os.kill(g.master, signal.SIGKILL)
    g.proc.wait()
    wait_for(lambda: not any(alive(p) for p in pids), "the end of the orphans")
    g.start()
    assert g.get("/").status == 200
    assert g.counter("requests_total") >= 10, "counters were lost"


def test_start_while_orphans_end(gateway, origin):
    """At once after kill -9 of the master, as a service manager would."""
    o = origin()
    g = gateway(config(o, workers=2))
    for _ in range(3):
        os.kill(g.master, signal.SIGKILL)
        g.proc.wait()
        g.start()
        assert g.get("/").status == 200


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
def test_stop(gateway, origin, sig):
    g = gateway(config(origin(), workers=2))
    pids = g.children()
    assert g.get("/").status == 200
    assert os.path.exists(g.path("run", "postern.pid"))
    assert g.stop(sig) == 0
    g.expect_exit = True
    assert not any(alive(p) for p in pids)
    assert not os.path.exists(g.path("run", "postern.pid"))
    with pytest.raises(OSError):
        g.client()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGQUIT])
def test_graceful(gateway, origin, sig):
    """Running requests are finished, with Connection: close; idle connections are closed; then it ends with 0."""
    go = threading.Event()

    def answer(r):
        if r.target == "/slow":
            go.wait(30)
        return reply()
    o = origin(answer)
    g = gateway(config(o, workers=2, gateway='drain = "60s"; drain_term = "60s";'))
    idle = g.client()
    assert idle.get("/").status == 200
    with g.client() as c:
        c.request("GET", "/slow")
        wait_for(lambda: any(q.target == "/slow" for q in o.heads), "the request at the origin")
        g.signal(sig)
        wait_for(lambda: g.notify.count("STOPPING", "1"), "STOPPING=1")

        def refused():
            try:
                Client(g.port, timeout=5).close()
                return False
            except OSError:
                return True
        wait_for(refused, "no more connections")
        assert g.proc.poll() is None
        go.set()
        r = c.response()
        assert r.status == 200 and r.closes
        c.expect_end()
    assert g.wait_exit() == 0
    g.expect_exit = True
    idle.at_end()
    idle.close()


@pytest.mark.parametrize("sig,key", [(signal.SIGTERM, "drain_term"), (signal.SIGQUIT, "drain")])
def test_deadline(gateway, origin, sig, key):
    """What does not end by itself is ended at the deadline."""
    o = origin(lambda r: threading.Event().wait(120) or reply())
    g = gateway(config(o, workers=2, gateway='drain = "60s"; drain_term = "60s";'.replace('%s = "60s"' % key, '%s = "500ms"' % key)))
    with g.client() as c:
        c.request("GET", "/slow")
        wait_for(lambda: o.heads, "the request at the origin")
        g.signal(sig)
        assert g.wait_exit(20) == 0
        c.at_end()
    g.expect_exit = True


def test_int_is_at_once(gateway, origin):
    o = origin(lambda r: threading.Event().wait(120) or reply())
    g = gateway(config(o, gateway='drain = "60s"; drain_term = "60s";'))
    with g.client() as c:
        c.request("GET", "/slow")
        wait_for(lambda: o.heads, "the request at the origin")
        g.signal(signal.SIGINT)
        assert g.wait_exit(10) == 0
    g.expect_exit = True


def test_quit_under_load(gateway, origin):
    """No answer is cut. An idle connection may be closed under a request on its way (a client cannot know, and may repeat
    it); it then gets not a byte."""
    o = origin()
    g = gateway(config(o, workers=2, gateway='drain = "20s";'))
    cut, good = [], [0]

    def kept():
        with Client(g.port) as c:
            while True:
                try:
                    c.request("GET", "/")
                    r = c.response()
                    good[0] += 1
                    if r.closes:
                        return
                except ConnectionError:
                    return
                except Exception as e:
                    if getattr(e, "got", b"?") != b"" or getattr(e, "response", None):
                        cut.append(e)
                    return
    threads = [threading.Thread(target=kept) for _ in range(8)]
    for t in threads:
        t.start()
    wait_for(lambda: good[0] > 200, "load")
    g.signal(signal.SIGQUIT)
    for t in threads:
        t.join(30)
    assert g.wait_exit() == 0
    g.expect_exit = True
    assert not cut, cut[:3]


@pytest.mark.parametrize("first", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_stop_in_the_middle(gateway, origin, first):
    """A stop during a reload or an upgrade is a stop; nothing is left running."""
    o = origin()
    for _ in range(3):
        g = gateway(config(o, workers=2, gateway='drain = "1s"; drain_term = "1s";'))
        g.signal(first)
        g.signal(signal.SIGTERM)
        assert g.wait_exit() == 0
        g.expect_exit = True
        # Where the new binary had taken over already, the stop went to the old one, and rightly so.
        for pid in g.all_pids() if first == signal.SIGUSR2 else []:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        wait_for(lambda: not g.all_pids(), "the end of all processes")


def test_rundir_that_cannot_be(gateway, origin):
    g = gateway(config(origin()).replace("@DIR@/run", "@DIR@/postern.conf/run"), start=False)
    g.expect_exit = True
    g.start(wait=False)
    assert g.wait_exit() == 1
    assert "rundir" in g.log()


def test_check_does_not_disturb(gateway, origin):
    g = gateway(config(origin()))
    for verb in ("-t", "-T", "check"):
        assert g.run(verb, "-c", g.conf)[0] == 0
    assert g.get("/").status == 200
    assert g.reload()


def test_pid_file(gateway, origin):
    g = gateway(config(origin(), gateway='pid_file = "@DIR@/my.pid";'))
    with open(g.path("my.pid")) as f:
        assert int(f.read()) == g.master
    g.stop()
    g.expect_exit = True
    assert not os.path.exists(g.path("my.pid"))


def test_second_master_is_refused(gateway, origin):
    o = origin()
    g = gateway(config(o))
    with open(g.conf) as f:
        text = f.read()
    second = gateway(text.replace(str(g.port), "@PORT@"), start=False)
    second.expect_exit = True
    second.start(wait=False)
    assert second.wait_exit() == 1
    assert "another postern" in second.log()
    assert g.get("/").status == 200
    assert os.path.exists(g.path("run", "postern.pid"))
    assert g.reload()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_user(gateway, origin):
    """Started as root with `user`: workers and keeper have its rights and no others; the log file and reloads work."""
    o = origin()
    nobody = pwd.getpwnam("nobody")
    os.makedirs("/tmp/postern-e2e-log", exist_ok=True)
    g = gateway(config(o, workers=2, gateway='user = "nobody";'))
    assert g.get("/").status == 200
    for p in g.workers() + [g.keeper()]:
        with open("/proc/%d/status" % p) as f:
            fields = dict(line.split(":", 1) for line in f.read().splitlines() if ":" in line)
        assert fields["Uid"].split() == [str(nobody.pw_uid)] * 4, fields["Uid"]
        assert fields["Gid"].split() == [str(nobody.pw_gid)] * 4
        assert int(fields["CapEff"], 16) == 0 and int(fields["CapPrm"], 16) == 0
        assert fields["NoNewPrivs"].strip() == "1"
        assert "0" not in fields["Groups"].split()
    assert "REJECTED" not in g.reload()
    assert g.get("/").status == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_unknown_user(gateway, origin):
    g = gateway(config(origin(), gateway='user = "no-such-user-here";'), start=False)
    g.expect_exit = True
    g.start(wait=False)
    assert g.wait_exit() == 1
    assert "no-such-user-here" in g.log()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become someone else")
def test_started_unprivileged(gateway, origin):
    """Everything works without root: start, serve, reload, stop."""
    nobody = pwd.getpwnam("nobody")
    o = origin()
    g = gateway(config(o, workers=2), start=False)
    os.chown(g.dir, nobody.pw_uid, nobody.pw_gid)
    g.binary = g.path("as-nobody")
    with open(g.binary, "w") as f:
        f.write("#!/bin/sh\nexec setpriv --reuid=%d --regid=%d --clear-groups %s \"$@\"\n" % (nobody.pw_uid, nobody.pw_gid, __import__("harness").POSTERN))
    os.chmod(g.binary, 0o755)
    if not os.access("/usr/bin/setpriv", os.X_OK):
        pytest.skip("no setpriv")
    g.start()
    assert g.get("/").status == 200
    assert "REJECTED" not in g.reload()
    with open("/proc/%d/status" % g.master) as f:
        assert "Uid:\t%d" % nobody.pw_uid in f.read()
    g.binary = __import__("harness").POSTERN
    assert g.stop() == 0
    g.expect_exit = True


def test_descriptors_do_not_leak(gateway, origin):
    """After much of everything the workers have the descriptors they had."""
    o = origin()
    g = gateway(config(o, workers=1, gateway=WATCHED, upstream='pool: { idle = 4; };'))
    worker = g.workers()[0]

    def count():
        return len(os.listdir("/proc/%d/fd" % worker))
    for _ in range(5):
        g.get("/")
    before = count()
    for i in range(300):
        c = g.client()
        if i % 3 == 0:
            c.request("GET", "/")
            c.reset()
        elif i % 3 == 1:
            c.get("/")
            c.close()
        else:
            c.send(b"bad\r\n\r\n")
            c.close()
    wait_for(lambda: count() <= before + 4, "descriptors back (before: %d)" % before)


def test_core_dumps_are_off(gateway, origin):
    g = gateway(config(origin()))
    with open("/proc/%d/limits" % g.workers()[0]) as f:
        line = [s for s in f if s.startswith("Max core file size")][0]
    assert line.split()[4] == "0"


def test_file_limit_is_raised(gateway, origin):
    g = gateway(config(origin(), gateway="max_files = 12345;"))
    with open("/proc/%d/limits" % g.workers()[0]) as f:
        line = [s for s in f if s.startswith("Max open files")][0]
    assert line.split()[3] == "12345"


def test_pinned(gateway, origin):
    g = gateway(config(origin(), workers=2, gateway="pin_cpus = true;"))
    seen = [os.sched_getaffinity(p) for p in g.workers()]
    assert all(len(s) == 1 for s in seen)
    if len(os.sched_getaffinity(0)) > 1:
        assert seen[0] != seen[1]
