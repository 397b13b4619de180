"""Unix-socket listeners: the file, whose it is, and how it comes through reloads, upgrades, deaths."""
import json
import os
import signal
import socket
import stat
import subprocess

import pytest

from harness import DEADLINE, run, wait_for
from test_listeners import UnixClient, on
from test_upgrade import gone, replace, upgradable, upgrade

BIND = "unix:@DIR@/web.sock"


def get(g, target="/a", name="web.sock"):
    with UnixClient(g.path(name)) as c:
        return c.get(target)


def inode(g):
    return os.stat(g.path("web.sock")).st_ino


def refuses_to_start(g, *words):
    g.expect_exit = True
    g.start(wait=False)
    assert g.wait_exit() == 1
    for word in words:
        assert word in g.log()


def test_rights(gateway, origin):
    """As a port: who may reach the directory may connect."""
    g = gateway(on(origin(), BIND))
    assert stat.S_IMODE(os.stat(g.path("web.sock")).st_mode) == 0o666


def test_address_of_its_clients(gateway, origin):
    o = origin()
    g = gateway(on(o, BIND, gateway='policies = ( { type = "access-log"; path = "@DIR@/access.log"; } );'))
    assert get(g).status == 200
    # It has none that could be told.
    assert not o.requests[-1].has("x-forwarded-for")

    def line():
        with open(g.path("access.log")) as f:
            return f.read()
    assert json.loads(wait_for(line, "a line in the access log"))["client.address"] == "unix"


def test_trust(gateway, origin):
    """trust = [ "unix" ]: a proxy on this host says who the client is. An address is nobody on a unix socket."""
    o = origin()
    for trust, want in (('"unix"', "203.0.113.7"), ('"0.0.0.0/0", "::/0"', None)):
        g = gateway(on(o, BIND, listener="trust = [ %s ];" % trust))
        with UnixClient(g.path("web.sock")) as c:
            assert c.get("/", headers=[("X-Forwarded-For", "203.0.113.7")]).status == 200
        assert o.requests[-1].get("x-forwarded-for") == want


def test_curl(gateway, origin):
    g = gateway(on(origin(), BIND))
    out = subprocess.run(["curl", "-sS", "--unix-socket", g.path("web.sock"), "http://test.example/a"],
                         capture_output=True, timeout=DEADLINE)
    assert out.stdout == b"GET /a", out


def test_all_workers_and_reloads(gateway, origin):
    """The file stays the same one whatever a reload does to the workers."""
    o = origin()
    g = gateway(on(o, BIND, workers=1))
    g.stable = False
    before = inode(g)
    with UnixClient(g.path("web.sock")) as c:
        for workers in (3, 2, 1, 2):
            g.reload(on(o, BIND, workers=workers))
            assert c.get("/kept").status == 200
            for i in range(8):
                assert get(g, "/%d" % i).status == 200
            assert inode(g) == before


def test_reload_that_is_refused(gateway, origin):
    """What a refused reload had made is gone, what was there is there."""
    o = origin()
    g = gateway(on(o, BIND))
    before = inode(g)
    with socket.socket() as s:
        s.bind(("127.0.0.1", g.ports[1]))
        s.listen()
        g.reload(on(o, BIND, "unix:@DIR@/new.sock", "127.0.0.1:@PORT2@"))
    assert "REJECTED" in g.notify.status()
    assert not os.path.exists(g.path("new.sock"))
    assert get(g).status == 200 and inode(g) == before


def test_somebody_listens_there(gateway, origin):
    """Another service's socket is not taken away, not even when its queue is full."""
    g = gateway(on(origin(), BIND), start=False)
    with socket.socket(socket.AF_UNIX) as s, socket.socket(socket.AF_UNIX) as c:
        s.bind(g.path("web.sock"))
        s.listen(0)
        c.connect(g.path("web.sock"))
        before = inode(g)
        refuses_to_start(g, "cannot listen on unix:%s: Address already in use" % g.path("web.sock"))
        assert inode(g) == before


def test_another_kind_of_socket(gateway, origin):
    """A datagram socket, such as that of a logger, is in use although nobody could connect to it by a stream."""
    g = gateway(on(origin(), BIND), start=False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(g.path("web.sock"))
        before = inode(g)
        refuses_to_start(g, "Address already in use")
        assert inode(g) == before


def test_file_of_somebody_else_is_left(gateway, origin):
    """Another service has taken the path meanwhile: our end does not remove its socket."""
    g = gateway(on(origin(), BIND))
    os.unlink(g.path("web.sock"))
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(g.path("web.sock"))
        assert g.stop() == 0
        g.expect_exit = True
        assert os.path.exists(g.path("web.sock"))


def test_no_such_directory(gateway, origin):
    g = gateway(on(origin(), "unix:@DIR@/none/web.sock"), start=False)
    refuses_to_start(g, "cannot listen on unix:%s: No such file or directory" % g.path("none", "web.sock"))


def test_path_too_long(gateway, origin):
    g = gateway(on(origin(), "unix:/tmp/" + "x" * 120), start=False)
    code, out, err = run("check", "-c", g.conf)
    assert code == 1 and "cannot listen on" in out + err, out + err


def test_worker_dies(gateway, origin):
    """The queue outlives who served it."""
    g = gateway(on(origin(), BIND, workers=1))
    g.stable = False
    before, victim = inode(g), g.workers()[0]
    os.kill(victim, signal.SIGSTOP)
    with UnixClient(g.path("web.sock")) as c:
        c.request("GET", "/waiting")
        os.kill(victim, signal.SIGKILL)
        assert c.response().body == b"GET /waiting"
    assert inode(g) == before


@pytest.mark.slow
def test_upgrade(gateway, origin):
    o = origin()
    g = upgradable(gateway, on(o, BIND, workers=2))
    g.stable = False
    before = inode(g)
    replace(g)
    old, _ = upgrade(g)
    wait_for(lambda: gone(g, old), "the end of the old master", timeout=30)
    for i in range(8):
        assert get(g, "/%d" % i).status == 200
    assert inode(g) == before
    # It is the new master's now: its end removes it.
    os.kill(g.master, signal.SIGTERM)
    wait_for(lambda: not os.path.exists(g.path("web.sock")), "the end of the socket's file")


@pytest.mark.slow
def test_upgrade_that_fails(gateway, origin):
    """A new binary that gives up takes nothing with it."""
    g = upgradable(gateway, on(origin(), BIND))
    before = inode(g)
    g.write("nonsense")
    g.signal(signal.SIGUSR2)
    g.wait_log("this one keeps serving")
    assert get(g).status == 200
    assert inode(g) == before
