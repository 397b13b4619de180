"""Listeners: several addresses, IPv6, Unix sockets, what they do at stops, restarts and reloads."""
import os
import signal
import socket
import stat

import pytest

from harness import DEADLINE, Client, Origin, Wire, assert_problem, config, make_request, run, wait_for


class UnixClient(Client):
    def __init__(self, path):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(DEADLINE)
        s.connect(path)
        Wire.__init__(self, s)


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def on(o, *binds, **kw):
    text = config(o, **kw)
    return text.replace('"127.0.0.1:@PORT@"', ", ".join('"%s"' % b for b in binds))


def test_several(gateway, origin):
    o = origin()
    g = gateway(on(o, "127.0.0.1:@PORT@", "127.0.0.1:@PORT2@", "127.0.0.2:@PORT3@", workers=2))
    assert g.get("/a").body == b"GET /a"
    assert g.get("/b", port=g.ports[1]).body == b"GET /b"
    with Client(g.ports[2], host="127.0.0.2") as c:
        assert c.get("/c").body == b"GET /c"
    with pytest.raises(OSError):
        Client(g.ports[2], timeout=5)
    for p in g.ports[:2]:
        assert "127.0.0.1:%d" % p in g.notify.status()


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_ipv6(gateway, origin):
    o = origin()
    g = gateway(on(o, "[::1]:@PORT@", workers=2))
    with Client(g.port, host="::1") as c:
        assert c.get("/a").body == b"GET /a"
    assert o.requests[0].get("x-forwarded-for") == "::1"
    with pytest.raises(OSError):
        g.client()


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_both_families_on_one_port(gateway, origin):
    """0.0.0.0 and [::] beside each other, as the first example has it."""
    o = origin()
    g = gateway(on(o, "0.0.0.0:@PORT@", "[::]:@PORT@"))
    assert g.get("/a").body == b"GET /a"
    with Client(g.port, host="::1") as c:
        assert c.get("/b").body == b"GET /b"
    assert [q.get("x-forwarded-for") for q in o.requests] == ["127.0.0.1", "::1"]


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_ipv6_target(gateway):
    s = socket.socket(socket.AF_INET6)
    s.bind(("::1", 0))
    s.listen()
    g = gateway(config("http://[::1]:%d" % s.getsockname()[1]))
    with g.client() as c:
        c.request("GET", "/a")
        s.settimeout(DEADLINE)
        p, _ = s.accept()
        p.settimeout(DEADLINE)
        assert p.recv(4096).startswith(b"GET /a HTTP/1.1\r\n")
        p.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        assert c.response().body == b"ok"
        p.close()
    s.close()


def test_unix(gateway, origin):
    o = origin()
    g = gateway(on(o, "unix:@DIR@/web.sock", workers=2))
    path = g.path("web.sock")
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    for i in range(10):
        with UnixClient(path) as c:
            assert c.get("/%d" % i).body == b"GET /%d" % i
            assert c.ask("POST", "/%d" % i, body=b"x" * 100000).status == 200
    g.reload(on(o, "unix:@DIR@/web.sock", "127.0.0.1:@PORT@", workers=2))
    with UnixClient(path) as c:
        assert c.get("/a").status == 200
    assert g.get("/b").status == 200
    g.reload(on(o, "127.0.0.1:@PORT@", workers=2))
    with pytest.raises(OSError):
        UnixClient(path)


def test_unix_socket_is_removed(gateway, origin):
    g = gateway(on(origin(), "unix:@DIR@/web.sock"))
    assert g.stop() == 0
    g.expect_exit = True
    assert not os.path.exists(g.path("web.sock"))


def test_unix_socket_left_behind(gateway, origin):
    """After kill -9 the file is still there: the next start takes it over."""
    g = gateway(on(origin(), "unix:@DIR@/web.sock"))
    os.kill(g.master, signal.SIGKILL)
    g.proc.wait()
    assert os.path.exists(g.path("web.sock"))
    g.start()
    with UnixClient(g.path("web.sock")) as c:
        assert c.get("/a").status == 200


def test_unix_path_of_something_else(gateway, origin):
    """A file that is no socket is not removed."""
    g = gateway(on(origin(), "unix:@DIR@/web.sock"), start=False)
    with open(g.path("web.sock"), "w") as f:
        f.write("precious")
    g.expect_exit = True
    g.start(wait=False)
    assert g.wait_exit() == 1
    with open(g.path("web.sock")) as f:
        assert f.read() == "precious"


def test_trust_of_one_listener(gateway, origin):
    """What one listener believes, another does not."""
    o = origin()
    g = gateway(config(o, listener='trust = [ "127.0.0.1" ];', listeners='open: { bind = [ "127.0.0.1:@PORT2@" ]; };'))
    for port, want in ((g.ports[0], "9.9.9.9, 127.0.0.1"), (g.ports[1], "127.0.0.1")):
        g.get("/", headers=[("X-Forwarded-For", "9.9.9.9")], port=port)
        assert o.requests[-1].get("x-forwarded-for") == want


def test_same_address_twice(gateway, origin):
    g = gateway(on(origin(), "127.0.0.1:@PORT@", "127.0.0.1:@PORT@"), start=False)
    code, out, err = run("check", "-c", g.conf)
    assert code == 1 and "taken already" in out + err, out + err


def test_backlog_is_not_lost_at_a_restart_of_workers(gateway, origin):
    """Connections that wait while the only worker is stopped are served by the next one."""
    o = origin()
    g = gateway(config(o, workers=1))
    g.stable = False
    victim = g.workers()[0]
    os.kill(victim, signal.SIGSTOP)
    clients = [g.client() for _ in range(50)]
    for i, c in enumerate(clients):
        c.send(make_request("GET", "/%d" % i))
    os.kill(victim, signal.SIGKILL)
    for i, c in enumerate(clients):
        assert c.response().body == b"GET /%d" % i
        c.close()
