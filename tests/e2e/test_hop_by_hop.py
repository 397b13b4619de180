"""What is for one hop stays on it: hop-by-hop headers and everything that Connection names (RFC 9110 §7.6.1)."""
import pytest

from harness import Gateway, Origin, chunked, config, reply


@pytest.fixture(scope="module")
def world(shared):
    def answer(r):
        extra = [tuple(v.split("=", 1)) for v in r.all("x-answer")]
        return reply(200, b"body", headers=[(n, v) for n, v in extra])
    o = shared(Origin(answer))
    return shared(Gateway(config(o))), o


@pytest.fixture
def gw(world):
    world[1].forget()
    return world


def seen(gw, *lines, method="GET", body=None):
    """The request as the origin saw it."""
    g, o = gw
    r = g.ask(method, "/", headers=list(lines), body=body)
    assert r.status == 200, r
    return o.requests[-1]


@pytest.mark.parametrize("name,value", [
    ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "keep-alive"), ("Upgrade", "foo"), ("TE", "gzip"),
    ("Trailer", "x-t"),
])
def test_hop_header_is_stripped(gw, name, value):
    q = seen(gw, (name, value), ("X-Kept", "1"))
    if name == "Trailer":
        assert q.all("trailer") in ([], ["x-t"])        # may go on: trailers do
    else:
        assert not q.has(name), q.head
    assert q.get("x-kept") == "1"


@pytest.mark.parametrize("connection", ["X-Private", "x-private", "close, X-Private", "keep-alive,X-Private , x-other", " ,, x-private,"])
def test_named_by_connection(gw, connection):
    q = seen(gw, ("Connection", connection), ("X-Private", "1"), ("X-Kept", "2"))
    assert not q.has("x-private"), q.head
    assert q.get("x-kept") == "2"
    assert "x-private" not in q.words("connection")


def test_named_before_and_after(gw):
    q = seen(gw, ("X-A", "1"), ("Connection", "x-a"), ("x-A", "2"), ("Connection", "x-b"), ("X-B", "3"), ("X-C", "4"))
    assert not q.has("x-a") and not q.has("x-b"), q.head
    assert q.get("x-c") == "4"


def test_long_list(gw):
    names = ["x-h%d" % i for i in range(30)]
    q = seen(gw, ("Connection", ", ".join(names)), *[(n, "v") for n in names], ("X-Kept", "1"))
    assert not any(n in q.names() for n in names), q.head
    assert q.get("x-kept") == "1"


def test_connection_cannot_name_framing(gw):
    """Naming Content-Length or Host does not take them away."""
    q = seen(gw, ("Connection", "content-length, host, transfer-encoding"), ("Content-Length", "5"), method="POST", body=b"hello")
    assert q.body == b"hello"
    assert q.get("host") == "test.example"
    g, o = gw
    with g.client() as c:
        c.send(b"POST / HTTP/1.1\r\nHost: test.example\r\nConnection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n", chunked(b"abc"))
        assert c.response().status == 200
        c.send(b"GET /next HTTP/1.1\r\nHost: test.example\r\n\r\n")
        assert c.response().status == 200
    assert [q.body for q in o.requests[-2:]] == [b"abc", b""]


def test_close_of_the_client_is_not_for_the_origin(gw):
    g, o = gw
    before = len(o.conns)
    g.get("/1", headers=[("Connection", "close")])
    g.get("/2", headers=[("Connection", "close")])
    assert not any("close" in q.words("connection") for q in o.requests)
    assert o.requests[-1].conn is o.requests[-2].conn, "the origin connection was not kept"
    assert len(o.conns) - before <= 1


def test_proxy_authorization(gw):
    """No proxy here consumes it; whatever Connection names goes, all else end-to-end stays."""
    q = seen(gw, ("Authorization", "Basic eDp5"), ("Connection", "keep-alive"))
    assert q.get("authorization") == "Basic eDp5"


@pytest.mark.parametrize("lines,gone", [
    (["Keep-Alive=timeout=5"], ["keep-alive"]),
    (["Proxy-Connection=keep-alive"], ["proxy-connection"]),
    (["Upgrade=h2c"], ["upgrade"]),
    (["Connection=X-Private", "X-Private=1"], ["x-private"]),
    (["X-Private=1", "Connection=keep-alive, x-private"], ["x-private"]),
])
def test_of_a_response(gw, lines, gone):
    g, o = gw
    r = g.get("/", headers=[("X-Answer", s) for s in lines + ["X-Kept=1"]])
    assert r.status == 200 and r.body == b"body"
    for name in gone:
        assert not r.has(name), r.head
    assert r.get("x-kept") == "1"


def test_close_of_the_origin_is_not_for_the_client(gw):
    g, o = gw
    with g.client() as c:
        r = c.get("/", headers=[("X-Answer", "Connection=close")])
        assert r.status == 200 and not r.closes, r.head
        assert c.get("/").status == 200


def test_origin_that_closes_is_not_used_again(gw):
    g, o = gw
    with g.client() as c:
        c.get("/1", headers=[("X-Answer", "Connection=close")])
        c.get("/2")
    assert o.requests[-1].conn is not o.requests[-2].conn


def test_end_to_end_headers_go_through(gw):
    """Order, case, repetition, empty values and high bytes of what is end-to-end stay."""
    lines = [("X-B", "2"), ("x-a", "1"), ("X-B", "3"), ("Cookie", "a=b; c=d"), ("X-Empty", ""), ("Accept", "a/b;q=0.5, */*"), ("X-High", "\xe9\xff")]
    q = seen(gw, *lines)
    got = [(n, v) for n, v in q.headers if (n, v) in lines]
    assert got == lines, q.head


def test_response_headers_go_through(gw):
    g, o = gw
    lines = [("Set-Cookie", "a=b"), ("set-cookie", "c=d"), ("X-Z", ""), ("Date", "Sat, 01 Jan 2000 00:00:00 GMT"), ("Server", "theirs")]
    r = g.get("/", headers=[("X-Answer", "%s=%s" % h) for h in lines])
    assert [h for h in r.headers if h in lines] == lines, r.head


def test_te_trailers_only(gw):
    q = seen(gw, ("TE", "trailers, deflate;q=0.5"), ("Connection", "TE"))
    assert q.words("te") in ([], ["trailers"]), q.head
