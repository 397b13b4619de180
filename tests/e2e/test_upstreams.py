"""Upstreams: weights, unix-socket targets, kept-alive connections, limits, reasons."""
import collections
import threading

import pytest

from harness import CLOSE, Origin, assert_problem, chunked, config, free_port, reply, wait_for


def two(*targets, options=""):
    """targets: (url, weight) or url."""
    def one(t):
        return '{ url = "%s"; weight = %d; }' % t if isinstance(t, tuple) else '"%s"' % t
    text = ", ".join(one(t) for t in targets)
    brackets = "()" if any(isinstance(t, tuple) for t in targets) else "[]"
    return dict(upstreams="pool: { targets = %s %s %s; %s };" % (brackets[0], text, brackets[1], options),
                routes='{ match = "* /*"; to = "pool"; }')


def test_round_robin(gateway, origin):
    os = [origin() for _ in range(3)]
    g = gateway(config(**two(*[o.target for o in os])))
    with g.client() as c:
        for i in range(30):
            assert c.get("/%d" % i).status == 200
    assert [len(o.requests) for o in os] == [10, 10, 10]


def test_weights(gateway, origin):
    os = [origin() for _ in range(3)]
    g = gateway(config(**two((os[0].target, 5), (os[1].target, 3), (os[2].target, 0))))
    with g.client() as c:
        for i in range(80):
            assert c.get("/%d" % i).status == 200
    assert [len(o.requests) for o in os] == [50, 30, 0]


def test_weights_are_smooth(gateway, origin):
    """Not five to the one and then one to the other."""
    os = [origin(), origin()]
    g = gateway(config(**two((os[0].target, 3), (os[1].target, 1))))
    with g.client() as c:
        for i in range(40):
            c.get("/%d" % i)
    seconds = sorted(int(t[1:]) for t in os[1].targets())
    assert len(seconds) == 10 and all(b - a == 4 for a, b in zip(seconds, seconds[1:])), seconds


def test_unix_socket(gateway, origin, tmp_path):
    o = origin(lambda r: reply(200, r.body), unix=str(tmp_path / "o.sock"))
    g = gateway(config(o))
    with g.client() as c:
        assert c.ask("POST", "/", body=b"hello").body == b"hello"
        assert c.ask("POST", "/", body=b"x" * 300000).body == b"x" * 300000
    assert len(o.conns) == 1


def test_name_target(gateway, origin):
    o = origin()
    g = gateway(config("http://localhost:%d" % o.port))
    assert g.get("/").status == 200


def test_name_that_does_not_resolve(gateway, origin):
    """A warning at start, 502 or 503 with a reason when asked; other upstreams work."""
    o = origin()
    g = gateway(config(o, upstreams='lost: { targets = [ "http://no-such-host.invalid:80" ]; };',
                       routes='{ match = "* /lost"; to = "lost"; }, { match = "* /*"; to = "origin"; }'))
    assert g.get("/").status == 200
    assert_problem(g.get("/lost"), {502, 503}, {"upstream_dns", "no_target"})
    assert "no-such-host.invalid" in g.log()


def test_connections_are_kept(gateway, origin):
    o = origin()
    g = gateway(config(o))
    for i in range(20):                 # twenty client connections, one after the other
        assert g.get("/%d" % i).status == 200
    assert len(o.conns) == 1


def test_last_used_first(gateway, origin):
    """The pool is a stack: with one request at a time only one connection is used."""
    def answer(r):
        if r.target == "/slow":
            threading.Event().wait(0.3)
        return reply()
    o = origin(answer)
    g = gateway(config(o))
    clients = [g.client() for _ in range(5)]
    for c in clients:
        c.request("GET", "/slow")
    for c in clients:
        assert c.response().status == 200
    assert len(o.conns) == 5
    before = [len(c.requests) for c in o.conns]
    for i in range(10):
        g.get("/fast")
    used = [len(c.requests) - b for c, b in zip(o.conns, before)]
    assert sorted(used) == [0, 0, 0, 0, 10], used
    for c in clients:
        c.close()


def test_idle_limit(gateway, origin):
    """No more than pool.idle are kept."""
    go = threading.Event()

    def answer(r):
        if r.target == "/slow":
            go.wait(30)
        return reply()
    o = origin(answer)
    g = gateway(config(o, upstream="pool: { idle = 2; };"))
    clients = [g.client() for _ in range(6)]
    for c in clients:
        c.request("GET", "/slow")
    wait_for(lambda: len(o.heads) == 6, "six requests at once")
    go.set()
    for c in clients:
        assert c.response().status == 200
        c.close()
    wait_for(lambda: len(o.open_conns()) == 2, "two kept connections")


def test_connection_limit(gateway, origin):
    """pool.connections: one more is refused with a reason, others go on."""
    go = threading.Event()

    def answer(r):
        if r.target == "/slow":
            go.wait(30)
        return reply()
    o = origin(answer)
    g = gateway(config(o, upstream="pool: { connections = 2; };"))
    clients = [g.client() for _ in range(2)]
    for c in clients:
        c.request("GET", "/slow")
    wait_for(lambda: len(o.heads) == 2, "two requests at once")
    assert_problem(g.get("/third"), 503, "upstream_full")
    go.set()
    for c in clients:
        assert c.response().status == 200
        c.close()
    assert g.get("/fourth").status == 200
    assert len(o.conns) == 2


def test_full_target_takes_the_next(gateway, origin):
    go = threading.Event()

    def answer(r):
        if r.target == "/slow":
            go.wait(30)
        return reply(200, b"a")
    a, b = origin(answer), origin(lambda r: reply(200, b"b"))
    g = gateway(config(**two((a.target, 1), (b.target, 1), options="pool: { connections = 1; };")))
    held = []
    while not a.heads:
        c = g.client()
        c.request("GET", "/slow")
        held.append(c)
        wait_for(lambda: len(a.heads) + len(b.heads) == len(held), "the request at an origin")
    for i in range(4):
        r = g.get("/x")
        assert r.status == 200 and r.body == b"b", r
    go.set()
    for c in held:
        c.response()
        c.close()


def test_no_weight_at_all(gateway, origin):
    """All weights zero is an error at load, or no target at run time."""
    g = gateway(config(**two((origin().target, 0))), start=False)
    g.start(wait=False)
    g.expect_exit = True

    def known():
        return g.proc.poll() is not None or g.notify.count("READY")
    wait_for(known, "an exit or READY")
    if g.proc.poll() is None:
        g.expect_exit = False
        assert_problem(g.get("/"), 503, "no_target")
    else:
        assert g.proc.returncode == 1 and "weight" in g.log()


@pytest.mark.parametrize("status", [200, 201, 206, 301, 400, 404, 418, 429, 500, 502, 503, 599, 299, 700, 999])
def test_status_goes_through(gateway, origin, status):
    o = origin(lambda r: reply(status, b"body", [("X-A", "b"), ("Retry-After", "7")], reason="Some Words"))
    g = gateway(config(o, upstream="retry: { attempts = 0; };"))
    r = g.get("/")
    if status > 599 and r.status == 502:
        return                          # beyond what HTTP knows: refused
    assert (r.status, r.body, r.get("x-a"), r.get("retry-after")) == (status, b"body", "b", "7")
    assert r.reason is None


def test_reason_phrase(gateway, origin):
    """Empty and missing ones are fine."""
    o = origin(lambda r: {"/empty": b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "/missing": b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
                          "/words": b"HTTP/1.1 200 A b\xe9 c\r\nContent-Length: 0\r\n\r\n"}[r.target])
    g = gateway(config(o))
    with g.client() as c:
        for t in ("/empty", "/words"):
            assert c.get(t).status == 200
        assert c.get("/missing").status in (200, 502)


def test_many_connections_at_once(gateway, origin):
    go = threading.Event()

    def answer(r):
        if r.target == "/slow":
            go.wait(30)
        return reply(200, r.target.encode())
    o = origin(answer)
    g = gateway(config(o, workers=2))
    clients = [g.client() for _ in range(300)]
    for c in clients:
        c.request("GET", "/slow")
    wait_for(lambda: len(o.heads) == 300, "three hundred requests at once")
    go.set()
    for c in clients:
        assert c.response().body == b"/slow"
        c.close()


def test_forwarded_request_head(gateway, origin):
    """What an origin gets: method, path, version, one Host, the client's address; no framing without a body."""
    o = origin()
    g = gateway(config(o))
    g.get("/a?b", headers=[("X-A", "1")])
    q = o.requests[0]
    assert (q.method, q.target, q.version) == ("GET", "/a?b", "HTTP/1.1")
    assert q.all("host") == ["test.example"] and q.get("x-a") == "1"
    assert q.get("x-forwarded-for") == "127.0.0.1" and q.get("x-forwarded-proto") == "http" and q.get("x-forwarded-host") == "test.example"
    assert not q.has("content-length") and not q.has("transfer-encoding")
