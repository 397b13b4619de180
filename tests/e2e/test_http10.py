"""HTTP/1.0 clients and HTTP/1.0 origins."""
import pytest

from harness import CLOSE, Origin, assert_problem, config, reply


def test_closes_by_default(gateway, origin):
    o = origin()
    g = gateway(config(o))
    with g.client() as c:
        c.send(b"GET /a HTTP/1.0\r\nHost: test.example\r\n\r\n")
        r = c.response()
        assert r.status == 200 and r.body == b"GET /a"
        c.expect_end()
    assert o.requests[0].version == "HTTP/1.1"
    assert o.requests[0].get("host") == "test.example"


def test_without_host(gateway, origin):
    """A 1.0 client needs no Host: the default service takes it, and the origin gets exactly one Host all the same."""
    o = origin()
    g = gateway(config(o))
    r, rest = g.raw(b"GET /a HTTP/1.0\r\n\r\n")
    assert r.status == 200 and r.body == b"GET /a" and rest == b""
    assert len(o.requests[0].all("host")) == 1


def test_two_hosts_are_refused(gateway, origin):
    o = origin()
    g = gateway(config(o))
    r, rest = g.raw(b"GET /a HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n")
    assert_problem(r, 400, "bad_host")
    assert not o.heads


def test_keep_alive_when_asked(gateway, origin):
    o = origin()
    g = gateway(config(o))
    with g.client() as c:
        for path in ("/a", "/b"):
            c.request("GET", path, headers=[("Connection", "Keep-Alive")], version="HTTP/1.0")
            r = c.response()
            assert r.body == b"GET " + path.encode()
            assert "keep-alive" in r.words("connection") and r.framing == "length"
        c.request("GET", "/c", version="HTTP/1.0")
        assert c.response().body == b"GET /c"
        c.expect_end()


def test_chunked_response_is_not_for_it(gateway, origin):
    """A 1.0 client knows no chunks: the body comes plain and ends with the connection."""
    o = origin(lambda r: reply(200, b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", [("Transfer-Encoding", "chunked")], length=False))
    g = gateway(config(o))
    for headers in ((), [("Connection", "keep-alive")]):
        with g.client() as c:
            c.request("GET", "/", headers=headers, version="HTTP/1.0")
            r = c.response()
            assert not r.has("transfer-encoding"), r.head
            assert r.body == b"hello world"
            c.expect_end()
    with g.client() as c:
        r = c.get("/")
        assert r.framing == "chunked" and r.body == b"hello world"


@pytest.mark.parametrize("size", [5, 500000])
def test_cut_is_seen(gateway, origin, size):
    """Without chunks and length only a reset says that something is missing: an orderly end would be a lie."""
    o = origin(lambda r: (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % (size + 1) + b"x" * size, CLOSE))
    g = gateway(config(o))
    with g.client() as c:
        c.request("GET", "/", version="HTTP/1.0")
        try:
            r = c.response()
        except ConnectionError:
            return
        assert r.status == 502, "a cut body looks whole: %d bytes" % len(r.body)


def test_no_interim_responses(gateway, origin):
    o = origin(lambda r: b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + reply())
    g = gateway(config(o))
    with g.client() as c:
        c.request("GET", "/", version="HTTP/1.0")
        r = c.response()
        assert r.status == 200 and not r.interim
        c.expect_end()
    assert [i.status for i in g.get("/").interim] == [103]


def test_expect_is_ignored(gateway, origin):
    o = origin()
    g = gateway(config(o))
    with g.client() as c:
        c.request("POST", "/", headers=[("Expect", "100-continue")], body=b"hello", version="HTTP/1.0")
        r = c.response()
        assert r.status == 200 and not r.interim
    assert o.requests[0].body == b"hello"


def test_post_with_length(gateway, origin):
    o = origin()
    g = gateway(config(o))
    assert g.ask("POST", "/", body=b"hello", version="HTTP/1.0").status == 200
    assert o.requests[0].body == b"hello"


def test_origin_of_1_0_closes(gateway, origin):
    """A body that ends with the connection becomes chunks, and the client's connection goes on."""
    o = origin(lambda r: (b"HTTP/1.0 200 OK\r\nX-A: b\r\n\r\nhello", CLOSE))
    g = gateway(config(o))
    with g.client() as c:
        for _ in range(2):
            r = c.get("/")
            assert r.version == "HTTP/1.1" and r.framing == "chunked" and r.body == b"hello" and r.get("x-a") == "b"
    assert len(o.conns) == 2


def test_origin_of_1_0_keeps_alive_only_when_it_says(gateway, origin):
    o = origin(lambda r: reply(version="HTTP/1.0"))
    g = gateway(config(o))
    with g.client() as c:
        assert c.get("/").body == b"ok"
        assert c.get("/").body == b"ok"
    assert len(o.conns) == 2, "a 1.0 connection without keep-alive was used again"


def test_origin_of_1_0_with_keep_alive(gateway, origin):
    o = origin(lambda r: reply(headers=[("Connection", "keep-alive")], version="HTTP/1.0"))
    g = gateway(config(o))
    with g.client() as c:
        assert c.get("/").body == b"ok"
        assert c.get("/").body == b"ok"
    assert len(o.conns) == 1


def test_coding_from_a_1_0_origin(gateway, origin):
    """RFC 9112 §6.1: a coding in an HTTP/1.0 message is faulty framing."""
    o = origin(lambda r: (reply(200, b"5\r\nhello\r\n0\r\n\r\n", [("Transfer-Encoding", "chunked")], version="HTTP/1.0", length=False), CLOSE))
    g = gateway(config(o))
    with g.client() as c:
        r = c.get("/")
        if r.status == 502:
            assert r.reason
        else:
            assert r.body == b"hello"
    # Whatever was made of it, that connection is at its end.
    g.get("/")
    assert len(o.conns) == 2
