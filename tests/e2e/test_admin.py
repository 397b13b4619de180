"""The admin plane: its sockets, who may use them, what it answers to what is no request of ours."""
import json
import os
import shutil
import signal
import socket
import stat
import time

import pytest

from harness import AdminClient, Client, SCALE, WATCHED, config, reply, wait_for

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users")
TOKEN = "t0ken-of-the-test-that-nobody-guesses"


def admin_config(admin="", **kw):
    return config(routes='{ name = "r"; match = "* /*"; respond = 204; }', head="admin: { %s };" % admin if admin else "", **kw)


@pytest.fixture
def gw(gateway):
    g = gateway(admin_config())
    g.wait_admin()
    return g


@pytest.fixture
def tcp(gateway):
    g = gateway(admin_config('http = "127.0.0.1:@PORT2@"; token = "file:@DIR@/token";'), start=False)
    with open(g.path("token"), "w") as f:
        f.write(TOKEN + "\n")
    os.chmod(g.path("token"), 0o600)
    g.start()
    g.wait_admin()
    wait_for(lambda: can_connect(g.ports[1]), "the port of admin.http")
    return g


def can_connect(port):
    try:
        Client(port).close()
        return True
    except OSError:
        return False


def tcp_ask(g, method="GET", target="/v1/status", headers=(), body=None, host=None):
    with Client(g.ports[1]) as c:
        return c.ask(method, target, list(headers), body, host=host or "127.0.0.1:%d" % g.ports[1])


def as_user(uid, gid, groups, fn):
    """What fn() gives as another user, as JSON through a pipe."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups(groups)
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            try:
                got = fn()
            except OSError as e:
                got = e.errno
            os.write(w, json.dumps(got).encode())
        finally:
            os._exit(0)
    os.close(w)
    with os.fdopen(r) as f:
        text = f.read()
    os.waitpid(pid, 0)
    return json.loads(text)


# ---- the Unix socket

def test_socket(gw):
    st = os.stat(gw.admin_socket)
    assert stat.S_ISSOCK(st.st_mode) and stat.S_IMODE(st.st_mode) == 0o660
    assert [n for n in os.listdir(gw.path("run")) if n.startswith("admin.sock")] == ["admin.sock"]
    assert gw.admin("GET", "/livez").body == b"alive\n"
    gw.stop()
    gw.expect_exit = True
    assert not os.path.exists(gw.admin_socket)


def test_a_stale_socket_is_replaced(gateway):
    g = gateway(admin_config(), start=False)
    os.mkdir(g.path("run"))
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(g.admin_socket)
    g.start()
    g.wait_admin()


def test_what_is_no_socket_is_left_alone(gateway):
    g = gateway(admin_config('socket = "@DIR@/taken";'), start=False)
    with open(g.path("taken"), "w") as f:
        f.write("precious")
    g.start()
    g.wait_log(r"admin\.socket \S+/taken: is there, and is no socket; tried again every second")
    assert open(g.path("taken")).read() == "precious"
    assert g.get("/").status == 204
    os.unlink(g.path("taken"))
    wait_for(lambda: os.path.exists(g.path("taken")), "the socket once its place is free", 5 * SCALE)
    g.wait_log(r"admin\.socket \S+/taken: open")
    assert g.log().count("is no socket") == 1


def test_a_socket_that_was_swept_away_comes_again(gw):
    os.unlink(gw.admin_socket)
    wait_for(lambda: os.path.exists(gw.admin_socket), "the socket", 5 * SCALE)
    gw.wait_admin()


@ROOT_ONLY
def test_who_may(gateway):
    g = gateway(admin_config('socket_group = "daemon"; '), start=False)
    os.makedirs(g.path("run"), exist_ok=True)
    g.start()
    g.wait_admin()
    os.chmod(g.path("run"), 0o755)
    daemon = os.stat(g.admin_socket).st_gid
    assert daemon == 1

    def ask():
        return g.admin("GET", "/v1/status").status
    nobody = 65534
    assert as_user(nobody, nobody, [], ask) == 13           # EACCES: the kernel says so
    assert as_user(nobody, nobody, [daemon], ask) == 200
    assert as_user(nobody, daemon, [], ask) == 200
    # Who gets as far as to connect is asked by us as well.
    os.chmod(g.admin_socket, 0o666)
    assert as_user(nobody, nobody, [], ask) == 403
    assert as_user(nobody, nobody, [2, 3], lambda: g.admin("GET", "/metrics").status) == 403
    assert as_user(nobody, nobody, [], lambda: g.admin("POST", "/v1/consumers", {"name": "x"}).status) == 403
    assert g.admin("GET", "/v1/consumers/x").status == 404


@ROOT_ONLY
def test_without_privileges(gateway):
    """The keeper has dropped root; its own user may use the socket, and so may root."""
    g = gateway(admin_config(gateway='user = "nobody"; ' + WATCHED), start=False)
    os.chmod(g.dir, 0o755)
    g.start()
    g.wait_admin()
    assert os.stat("/proc/%d" % g.keeper()).st_uid != 0
    nobody = 65534
    assert as_user(nobody, nobody, [], lambda: g.admin("GET", "/v1/status").status) == 200
    assert g.admin("POST", "/v1/consumers", {"name": "x"}).status == 201
    assert g.admin("GET", "/v1/audit").json()["audit"][0]["who"] == "uid 0 (root)"


def test_reload_moves_the_sockets(gw):
    old = gw.admin_socket
    with AdminClient(old) as c:
        assert c.get("/livez", host="x").status == 200
        gw.reload(admin_config('socket = "@DIR@/run/other.sock"; http = "127.0.0.1:@PORT2@";'))
        wait_for(lambda: os.path.exists(gw.path("run", "other.sock")) and can_connect(gw.ports[1]), "the new sockets")
        assert not os.path.exists(old)
        assert c.get("/livez", host="x").status == 200           # who is connected stays so
    assert tcp_ask(gw).status == 200
    gw.reload(admin_config('socket = "";'))
    wait_for(lambda: not can_connect(gw.ports[1]) and not os.path.exists(gw.path("run", "other.sock")), "no socket")
    gw.reload(admin_config())
    gw.wait_admin()


def test_another_keeper_serves_it_again(gw):
    for _ in range(2):
        gw.kill_keeper()
        gw.wait_admin()
    assert gw.get("/").status == 204


def test_an_upgrade_takes_it_over(gw):
    """There is no moment at which the path leads to nobody."""
    gw.stable = False
    failed = []
    old, end = gw.master, time.monotonic() + 60
    gw.signal(signal.SIGUSR2)
    while os.path.exists("/proc/%d" % old) and gw.proc.poll() is None and time.monotonic() < end:
        try:
            assert gw.admin("GET", "/livez").status == 200
        except ConnectionResetError:
            pass                        # it was in the queue of the one that ended
        except OSError as e:
            failed.append(e)
    assert not failed, failed[:3]
    with open(gw.path("run", "postern.pid")) as f:
        gw.adopt(int(f.read()))
    assert gw.admin("GET", "/v1/status").json()["processes"]
    assert os.path.exists(gw.admin_socket)


# ---- over TCP

def test_tcp_reads(tcp):
    for target in ("/livez", "/readyz", "/metrics", "/v1", "/v1/status", "/v1/consumers", "/v1/plans"):
        r = tcp_ask(tcp, target=target)
        assert r.status == 200, (target, r)
        assert not [n for n in r.names() if n.lower().startswith("access-control")]
        assert r.get("Cache-Control") == "no-store"


def test_tcp_writes_need_the_token(tcp):
    body = b'{"name": "acme"}'
    r = tcp_ask(tcp, "POST", "/v1/consumers", body=body)
    assert r.status == 401 and r.get("WWW-Authenticate") == 'Bearer realm="postern admin"'
    for wrong in ("Bearer x", "Bearer " + TOKEN + "x", "Bearer " + TOKEN[:-1], "Basic " + TOKEN, TOKEN, "Bearer"):
        assert tcp_ask(tcp, "POST", "/v1/consumers", [("Authorization", wrong)], body).status == 401, wrong
        assert tcp_ask(tcp, "GET", "/v1/consumers", [("Authorization", wrong)]).status == 401, wrong
    assert tcp_ask(tcp, "GET", "/v1/consumers/acme").status == 404
    assert tcp_ask(tcp, "POST", "/v1/consumers", [("Authorization", "Bearer " + TOKEN)], body).status == 201
    row = tcp.admin("GET", "/v1/audit").json()["audit"][0]
    assert row["what"] == "consumer add" and row["who"].startswith("token ") and "127.0.0.1" in row["who"]
    assert TOKEN not in json.dumps(row) and TOKEN not in tcp.log()


def test_tcp_without_a_token_is_read_only(gateway):
    g = gateway(admin_config('http = "127.0.0.1:@PORT2@";'))
    g.wait_admin()
    wait_for(lambda: can_connect(g.ports[1]), "the port")
    assert tcp_ask(g).status == 200
    for bearer in ([], [("Authorization", "Bearer ")], [("Authorization", "Bearer x")]):
        assert tcp_ask(g, "POST", "/v1/consumers", bearer, b'{"name": "acme"}').status in (401, 403)
    assert g.admin("GET", "/v1/consumers/acme").status == 404


def test_rebinding_and_other_sites(tcp):
    port = tcp.ports[1]
    for host in ("localhost:%d" % port, "LocalHost:%d" % port, "127.0.0.1:%d" % port):
        assert tcp_ask(tcp, host=host).status == 200, host
    for host in ("evil.example", "evil.example:%d" % port, "127.0.0.1", "127.0.0.1:1", "127.0.0.2:%d" % port,
                 "localhost.evil.example:%d" % port, "localhost", "[::1]:%d" % port, "0.0.0.0:%d" % port):
        assert tcp_ask(tcp, host=host).status == 421, host
    ours = "http://127.0.0.1:%d" % port
    assert tcp_ask(tcp, headers=[("Origin", ours)]).status == 200
    for origin in ("http://evil.example", "null", "https://127.0.0.1:%d" % port, "http://127.0.0.1", ours + "0"):
        r = tcp_ask(tcp, headers=[("Origin", origin)])
        assert r.status == 403 and not r.has("Access-Control-Allow-Origin"), origin
        assert tcp_ask(tcp, "DELETE", "/v1/poison", [("Origin", origin), ("Authorization", "Bearer " + TOKEN)]).status == 403


def test_a_port_that_is_taken_stops_nothing(gateway):
    with socket.socket() as s:
        g = gateway(admin_config('http = "127.0.0.1:@PORT2@";'), start=False)
        s.bind(("127.0.0.1", g.ports[1]))
        s.listen()
        g.start()
        g.wait_admin()
        assert g.get("/").status == 204
        s.close()
        wait_for(lambda: can_connect(g.ports[1]) and tcp_ask(g, target="/livez").status == 200, "the port", 5 * SCALE)


# ---- HTTP

def test_endpoints(gw):
    rows = gw.admin("GET", "/v1").json()["endpoints"]
    assert len(rows) > 20 and {"method", "path", "writes", "help"} == set(rows[0])
    for row in rows:
        path = row["path"].replace("{name}", "nobody").replace("{consumer}", "nobody").replace("{id}", "0")
        if row["method"] == "GET":
            assert gw.admin("GET", path).status in (200, 404), row
        got = gw.admin("OPTIONS", path)
        assert got.status == 405 and row["method"].lower() in got.words("Allow"), row
    for path in ("/", "/v2", "/v1/", "/v1/consumers/", "/v1/consumers/a/b", "//v1", "/v1/consumers/a/keys/b/c",
                 "/v1/consumers/%zz", "/v1/consumers/a%00b", "/metricsx"):
        r = gw.admin("GET", path)
        assert r.status in (400, 404), (path, r)
        assert r.json()["detail"]


def test_head_and_keep_alive(gw):
    with AdminClient(gw.admin_socket) as c:
        for _ in range(3):
            c.send("HEAD /v1 HTTP/1.1\r\nHost: x\r\n\r\n")
            r = c.response("HEAD")
            assert r.status == 200 and int(r.get("Content-Length")) > 1000
            assert c.get("/livez", host="x").body == b"alive\n"


def test_bodies(gw):
    with AdminClient(gw.admin_socket) as c:         # chunked, in small pieces
        c.send("POST /v1/consumers HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (b'{"na', b'me": ', b'"chunked"', b"}"):
            c.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            time.sleep(0.01)
        c.send("0\r\n\r\n")
        assert c.response().status == 201
        assert c.get("/v1/consumers/chunked", host="x").status == 200
    with AdminClient(gw.admin_socket) as c:         # Expect: 100-continue
        c.send("POST /v1/consumers HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\nExpect: 100-continue\r\n\r\n")
        assert c.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        c.send('{"name": "go1"}')
        assert c.response().status == 201
    big = json.dumps({"name": "big", "note": "n" * 66000})
    assert gw.admin("POST", "/v1/consumers", big).status == 413
    with AdminClient(gw.admin_socket) as c:
        c.send("POST /v1/consumers HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(100):
                c.send(b"400\r\n" + b" " * 1024 + b"\r\n")
        except OSError:
            pass
        assert c.response().status == 413
    assert gw.admin("GET", "/v1/consumers/big").status == 404


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"nul", b'{"name": 1}', b'{"name": "a", "name": "b"}', b'{"nam": "a"}',
                                  b'{"name": "a\\u0000b"}', b'{"name": "a", "note": "\\n"}', b'{"name": "\xff"}', b"{}",
                                  b'{"name": ""}', b'{"name": "' + b"a" * 64 + b'"}', b'{"name": "a b"}', b'{"name": "../x"}',
                                  b'{"name": "a", "plan": 7}', b'{"name": "a", "plan": "nobody-has-it"}', b"[" * 20000])
def test_bad_json(shared_gw, body):
    r = shared_gw.admin("POST", "/v1/consumers", body)
    assert r.status == 400, r
    assert r.get("Content-Type") == "application/problem+json" and r.json()["detail"] and r.json()["status"] == 400
    assert shared_gw.admin("GET", "/v1/consumers").json()["of_store"] == 0


@pytest.fixture(scope="module")
def shared_gw(shared):
    from harness import Gateway
    g = shared(Gateway(admin_config()))
    g.wait_admin()
    return g


def test_not_http(gw):
    for data in (b"hello\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x00\x00",
                 b"GET /v1 HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
                 b"POST /v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"):
        with AdminClient(gw.admin_socket) as c:
            c.send(data)
            c.half_close()
            got = c.at_end()
            assert got == b"" or got.startswith(b"HTTP/1.1 4") or got.startswith(b"HTTP/1.1 5"), (data[:40], got)
    gw.wait_admin()


def test_too_many_connections(gw):
    held = [AdminClient(gw.admin_socket) for _ in range(64)]
    for c in held:
        assert c.get("/livez", host="x").status == 200
    with AdminClient(gw.admin_socket) as c:
        try:
            c.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        except OSError:
            pass
        assert c.at_end() == b""
    assert gw.get("/").status == 204
    for c in held:
        c.close()
    gw.wait_admin()


@pytest.mark.slow
def test_slow_clients_go(gw):
    with AdminClient(gw.admin_socket, timeout=60) as c:
        c.send("GET /livez HT")
        began = time.monotonic()
        got = c.at_end()
        assert got == b"" or got.startswith(b"HTTP/1.1 408"), got
        assert 5 < time.monotonic() - began < 30


def test_readyz_while_draining(gateway, origin):
    """503 from the moment at which it drains; the keeper answers as long as workers do."""
    import threading
    go = threading.Event()

    def answer(r):
        go.wait(30)
        return reply(200, b"late")
    g = gateway(config(origin(answer)))
    g.expect_exit = True
    g.wait_admin()
    assert g.admin("GET", "/readyz").status == 200
    with g.client() as c:
        c.request("GET", "/slow")
        wait_for(lambda: g.stat()["gauges"]["exchanges"] == 1, "the request under way")
        g.signal(signal.SIGQUIT)

        def drains():
            try:
                return g.admin("GET", "/readyz").status == 503
            except OSError:
                raise AssertionError("the keeper has gone before the workers")
        wait_for(drains, "503 from /readyz")
        assert g.admin("GET", "/livez").status == 200
        code, out, err = g.cli("probe", "ready", status=None)
        assert code == 1 and "not ready" in out and "Next: " in err
        go.set()
        assert c.response().body == b"late"
    assert g.wait_exit() == 0
    code, out, err = g.cli("probe", "live", status=None)
    assert code == 1 and "no gateway runs here" in err and "Next: " in err


def test_history_and_audit(gw):
    with open(gw.conf) as f:
        good = f.read()
    gw.reload(good.replace("services:", "servces:").replace(gw.dir, "@DIR@"))
    gw.reload(good.replace(gw.dir, "@DIR@"))
    rows = wait_for(lambda: len(gw.admin("GET", "/v1/history").json()["revisions"]) == 3 and
                    gw.admin("GET", "/v1/history").json()["revisions"], "three revisions")
    assert [r["ok"] for r in rows] == [True, False, True]
    assert rows[1]["text"] == "2 errors"
    assert [r["ok"] for r in gw.cli("history", "-o", "json")["revisions"]] == [True, False, True]
    table = gw.cli("history", "--limit", "2").splitlines()
    assert len(table) == 3 and "no" in table[2].split()
    gw.admin("POST", "/v1/consumers", {"name": "acme"})
    gw.admin("PATCH", "/v1/consumers/acme", {"note": "n"})
    gw.admin("DELETE", "/v1/consumers/acme")
    rows = gw.admin("GET", "/v1/audit?name=acme").json()["audit"]
    assert [r["what"] for r in rows] == ["consumer remove", "consumer set", "consumer add"]
    assert rows[1]["before"]["note"] is None and rows[1]["after"]["note"] == "n"
    assert rows[0]["after"] is None and rows[2]["before"] is None
    assert gw.admin("GET", "/v1/audit?limit=1").json()["audit"] == rows[:1]
    for bad in ("0", "-1", "x", "99999999"):
        assert gw.admin("GET", "/v1/audit?limit=" + bad).status == 400


def test_config_admin_socket_none(gateway):
    g = gateway(admin_config('socket = "";'))
    assert g.get("/").status == 204
    assert not os.path.exists(g.admin_socket)
    code, out, err = g.cli("consumer", "list", status=None)
    assert code == 1 and "there is none" in err and "Next: " in err


def test_without_a_store(gateway):
    """A state file that is none of ours: what needs it says so, all the rest answers, and nobody touches the file."""
    g = gateway(admin_config(), start=False)
    os.mkdir(g.path("state"))
    with open(g.path("state", "state"), "wb") as f:
        f.write(b"precious" * 4096)
    g.start()
    g.wait_admin()
    for method, path, body in (("GET", "/v1/consumers", None), ("GET", "/v1/consumers/acme", None), ("GET", "/v1/audit", None),
                               ("GET", "/v1/history", None), ("GET", "/v1/plans", None), ("GET", "/v1/usage", None),
                               ("POST", "/v1/consumers", {"name": "acme"}), ("PUT", "/v1/plans/p", {"rate": "1/s"})):
        r = g.admin(method, path, body)
        assert r.status == 503 and "store" in r.json()["detail"], (method, path, r)
    for path in ("/livez", "/readyz", "/metrics", "/v1", "/v1/status", "/v1/poison"):
        assert g.admin("GET", path).status == 200, path
    assert g.admin("GET", "/v1/status").json()["store"]["state"] == "bad"
    assert g.metrics().value("postern_store_state", state="bad") == 1
    assert g.admin("DELETE", "/v1/poison").status == 204
    code, out, err = g.cli("consumer", "list", status=None)
    assert code == 1 and "cannot be used now" in err and "Next: journalctl" in err
    assert g.get("/").status == 204
    with open(g.path("state", "state"), "rb") as f:
        assert f.read() == b"precious" * 4096
