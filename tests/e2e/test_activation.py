"""Socket activation: listening sockets that the service manager passes are used, shared by all workers, and
outlive reloads and upgrades."""
import os
import shutil
import socket
import sys

import pytest

from harness import POSTERN, Client, config, make_request, wait_for
from test_listeners import UnixClient, has_ipv6, on
from test_upgrade import gone, replace, upgrade

# Passes sockets as systemd does: from descriptor 3 on. $SOCKETS: "name=address" of each.
LAUNCHER = """#!%s
import os, socket, sys
fds, names = [], []
for item in os.environ.pop("SOCKETS").split():
    name, _, at = item.partition("=")
    if at.startswith("/") or at.startswith("@"):
        s = socket.socket(socket.AF_UNIX)
        s.bind(at if at[0] == "/" else "\\0" + at[1:])
    elif at.startswith("udp:"):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", int(at[4:])))
    else:
        host, _, port = at.rpartition(":")
        six = host.startswith("[")
        s = socket.socket(socket.AF_INET6 if six else socket.AF_INET)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if six:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        s.bind((host.strip("[]"), int(port)))
    if s.type == socket.SOCK_STREAM:
        s.listen(64)
    fds.append(os.dup2(s.detach(), 100 + len(fds)))
    names.append(name)
for i, fd in enumerate(fds):
    os.dup2(fd, 3 + i)
    os.close(fd)
    os.set_inheritable(3 + i, True)
os.environ["LISTEN_FDS"] = str(len(fds))
os.environ["LISTEN_FDNAMES"] = ":".join(names)
os.environ["LISTEN_PID"] = os.environ.pop("PID", None) or str(os.getpid())
os.execv(%r, [%r] + sys.argv[1:])
"""


def launched(gateway, conf, sockets, start=True, env=None):
    """A gateway that got these sockets: "name=address" with @PORT@ and @DIR@."""
    g = gateway(conf, start=False)
    shutil.copy(POSTERN, g.path("postern"))
    g.binary = g.path("launch")
    with open(g.binary, "w") as f:
        f.write(LAUNCHER % (sys.executable, g.path("postern"), g.path("postern")))
    os.chmod(g.binary, 0o755)
    g.env = dict({"SOCKETS": g.text(sockets)}, **(env or {}))
    if start:
        g.start()
        g.binary = g.path("postern")
    return g


def inodes(pid):
    """Of the sockets that a process has open."""
    got = set()
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            target = os.readlink("/proc/%d/fd/%s" % (pid, fd))
        except OSError:
            continue
        if target.startswith("socket:"):
            got.add(target)
    return got


def listening(port):
    """inodes of sockets that listen on the port."""
    got = set()
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(name) as f:
            for line in list(f)[1:]:
                w = line.split()
                if w[3] == "0A" and int(w[1].split(":")[1], 16) == port:
                    got.add("socket:[%s]" % w[9])
    return got


def test_used_by_all_workers(gateway, origin):
    o = origin()
    g = launched(gateway, config(o, workers=2), "web=127.0.0.1:@PORT@")
    for i in range(10):
        assert g.get("/%d" % i).body == b"GET /%d" % i
    # One socket, no own ones beside it.
    assert len(listening(g.port)) == 1
    for pid in g.workers():
        assert listening(g.port) <= inodes(pid)
    g.wait_log(r"127\.0\.0\.1:%d is the socket that was passed to us as web: one for all workers" % g.port)
    assert "127.0.0.1:%d" % g.port in g.notify.status()


def test_unix_and_ipv6(gateway, origin):
    o = origin()
    binds = ["unix:@DIR@/web.sock"] + (["[::1]:@PORT@"] if has_ipv6() else [])
    g = launched(gateway, on(o, *binds, workers=2),
                 "a=@DIR@/web.sock " + ("b=[::1]:@PORT@" if has_ipv6() else ""))
    with UnixClient(g.path("web.sock")) as c:
        assert c.get("/a").status == 200
    if has_ipv6():
        with Client(g.port, host="::1") as c:
            assert c.get("/b").status == 200
        assert o.requests[-1].get("x-forwarded-for") == "::1"
    # The file is the service manager's: it stays.
    assert g.stop() == 0
    g.expect_exit = True
    assert os.path.exists(g.path("web.sock"))


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_dual_stack(gateway, origin):
    """ListenStream=8080 makes one of [::] that takes IPv4, too: it will do for 0.0.0.0."""
    o = origin()
    g = launched(gateway, on(o, "0.0.0.0:@PORT@"), "=[::]:@PORT@")
    assert g.get("/a").body == b"GET /a"
    assert o.requests[-1].get("x-forwarded-for") == "127.0.0.1"
    g.wait_log(r"\[::\]:%d is the socket that was passed to us: one" % g.port)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_dual_stack_and_both_named(gateway, origin):
    """Which listener a client of IPv4 would meet could not be said then: it is refused."""
    g = launched(gateway, on(origin(), "0.0.0.0:@PORT@", "[::]:@PORT@"), "=[::]:@PORT@", start=False)
    g.expect_exit = True
    g.start(wait=False)
    assert g.wait_exit() == 1
    assert "cannot listen on 0.0.0.0:%d: Address already in use" % g.port in g.log()


def test_others_are_made(gateway, origin):
    g = launched(gateway, on(origin(), "127.0.0.1:@PORT@", "127.0.0.1:@PORT2@", workers=2), "web=127.0.0.1:@PORT2@")
    assert g.get("/a").status == 200 and g.get("/b", port=g.ports[1]).status == 200
    assert len(listening(g.ports[0])) == 2
    assert len(listening(g.ports[1])) == 1


def test_unknown_ones_are_warned_about(gateway, origin):
    g = launched(gateway, config(origin()), "web=127.0.0.1:@PORT@ old=127.0.0.1:@PORT2@ "
                 "x=@postern-e2e-%d dns=udp:@PORT3@" % os.getpid())
    assert g.get("/a").status == 200
    g.wait_log(r"a socket for 127\.0\.0\.1:%d was passed to us as old, and no listener is bound to it" % g.ports[1])
    g.wait_log(r"a socket for unix:@postern-e2e-%d was passed to us as x, and" % os.getpid())
    g.wait_log(r"passed descriptor 6 \(dns\) is not a listening stream socket")
    # Once is enough.
    g.reload()
    assert g.log().count("was passed to us as old") == 1


def test_of_another_process(gateway, origin):
    """$LISTEN_PID of somebody else: not ours."""
    g = launched(gateway, on(origin(), "127.0.0.1:@PORT2@"), "web=127.0.0.1:@PORT@", env={"PID": "1"})
    assert g.get("/a", port=g.ports[1]).status == 200
    assert "was passed to us" not in g.log()


def test_reload(gateway, origin):
    """It stays over reloads, is let go of when nobody names it and taken again when somebody does."""
    o = origin()
    g = launched(gateway, config(o, workers=2), "web=127.0.0.1:@PORT@")
    before = listening(g.port)
    with g.client() as c:
        assert c.get("/a").status == 200
        g.reload(config(o, workers=3))
        g.stable = False
        assert c.get("/b").status == 200
    for i in range(10):
        assert g.get("/%d" % i).status == 200
    assert listening(g.port) == before
    g.reload(on(o, "127.0.0.1:@PORT2@", workers=3))
    assert g.get("/c", port=g.ports[1]).status == 200
    # The service manager has it open: who connects waits.
    with g.client() as c:
        c.request("GET", "/d")
        assert c.silent(0.3)
        g.reload(on(o, "127.0.0.1:@PORT2@", "127.0.0.1:@PORT@", workers=3))
        assert c.response().body == b"GET /d"
    assert listening(g.port) == before


def test_reload_that_is_refused(gateway, origin):
    g = launched(gateway, config(origin()), "web=127.0.0.1:@PORT@ more=127.0.0.1:@PORT2@")
    with socket.socket() as s:
        s.bind(("127.0.0.1", g.ports[2]))
        s.listen()
        g.reload(on(origin(), "127.0.0.1:@PORT@", "127.0.0.1:@PORT2@", "127.0.0.1:@PORT3@"))
    assert "REJECTED" in g.notify.status()
    assert g.get("/a").status == 200
    with g.client(g.ports[1]) as c:
        c.request("GET", "/b")
        assert c.silent(0.2)


@pytest.mark.slow
def test_upgrade(gateway, origin):
    o = origin()
    g = launched(gateway, config(o, workers=2), "web=127.0.0.1:@PORT@ more=127.0.0.1:@PORT2@")
    g.stable = False
    before = listening(g.port)
    replace(g)
    old, new = upgrade(g)
    wait_for(lambda: gone(g, old), "the end of the old master", timeout=30)
    for i in range(10):
        assert g.get("/%d" % i).status == 200
    assert listening(g.port) == before
    # What we start does not take them for its own.
    with open("/proc/%d/environ" % new, "rb") as f:
        assert b"LISTEN_" not in f.read()
    # Those that were not used went along.
    g.write(on(o, "127.0.0.1:@PORT@", "127.0.0.1:@PORT2@", workers=2))
    g.reload()
    assert g.get("/b", port=g.ports[1]).status == 200
    assert len(listening(g.ports[1])) == 1
    g.pids = g.children()


def test_queue_is_not_lost(gateway, origin):
    """Who connected before we were there is served."""
    o = origin()
    g = launched(gateway, config(o), "web=127.0.0.1:@PORT@", start=False)
    script = open(g.binary).read()
    # It dawdles until there is a client.
    with open(g.binary, "w") as f:
        f.write(script.replace('os.environ["LISTEN_FDS"]',
                               'import select; select.select([3], [], [])\nos.environ["LISTEN_FDS"]', 1))
    g.start(wait=False)

    def connected():
        try:
            return g.client()
        except OSError:
            return None
    with wait_for(connected, "a connection") as c:
        c.send(make_request("GET", "/first"))
        g.wait_ready()
        assert c.response().body == b"GET /first"


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="systemd-socket-activate is not here")
def test_of_systemd(gateway, origin):
    g = gateway(config(origin()), start=False)
    g.binary = g.path("launch")
    with open(g.binary, "w") as f:
        f.write("#!/bin/sh\nexec systemd-socket-activate -E NOTIFY_SOCKET -E ASAN_OPTIONS -E UBSAN_OPTIONS "
                "-l 127.0.0.1:%d --fdname=web %s \"$@\"\n" % (g.port, POSTERN))
    os.chmod(g.binary, 0o755)
    g.start(wait=False)

    def connected():
        try:
            return g.client()
        except OSError:
            return None
    with wait_for(connected, "a connection") as c:
        c.send(make_request("GET", "/first"))
        g.wait_ready()
        assert c.response().body == b"GET /first"
    assert g.get("/a").status == 200
    g.wait_log(r"passed to us as web")
    assert len(listening(g.port)) == 1


def test_single(gateway, origin):
    g = launched(gateway, config(origin()), "web=127.0.0.1:@PORT@", start=False)
    g.args = ["--single"]
    g.stable = False
    g.start(wait=False)
    wait_for(lambda: "single process" in open(g.path("stdout")).read(), "the word that it serves")
    assert g.get("/a").status == 200
    assert len(listening(g.port)) == 1
