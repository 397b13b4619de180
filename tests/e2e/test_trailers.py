"""Trailers of chunked bodies, both ways (RFC 9110 §6.5)."""
from harness import Origin, chunked, config, make_request, reply


def test_of_a_response(gateway, origin):
    o = origin(lambda r: reply(200, chunked(b"hello", trailers=[(b"X-Sum", b"1"), (b"X-Two", b"2")]),
                               [("Transfer-Encoding", "chunked"), ("Trailer", "X-Sum")], length=False))
    g = gateway(config(o))
    with g.client() as c:
        for _ in range(2):
            r = c.get("/", headers=[("TE", "trailers"), ("Connection", "TE")])
            assert r.body == b"hello"
            assert r.trailers == [("X-Sum", "1"), ("X-Two", "2")]


def test_of_a_request(gateway, origin):
    o = origin()
    g = gateway(config(o))
    with g.client() as c:
        c.send(make_request("POST", "/", [("Transfer-Encoding", "chunked"), ("Trailer", "X-Sum")],
                            chunked(b"hello", trailers=[(b"X-Sum", b"1")])))
        assert c.response().status == 200
        assert c.get("/next").status == 200
    assert o.requests[0].body == b"hello" and o.requests[0].trailers == [("X-Sum", "1")]


def test_framing_in_trailers_is_dropped(gateway, origin):
    """What would be framing, routing or control in a head is none in a trailer."""
    bad = [(b"Content-Length", b"5"), (b"Transfer-Encoding", b"chunked"), (b"Host", b"evil.example"), (b"Connection", b"close"), (b"X-Good", b"1")]
    o = origin(lambda r: reply(200, chunked(b"hello", trailers=bad), [("Transfer-Encoding", "chunked")], length=False))
    g = gateway(config(o))
    with g.client() as c:
        c.send(make_request("POST", "/", [("Transfer-Encoding", "chunked"), ("TE", "trailers")], chunked(b"hello", trailers=bad)))
        r = c.response()
        assert r.status in (200, 502)
        if r.status == 200:
            assert r.body == b"hello" and r.trailers == [("X-Good", "1")], r.trailers
        assert c.get("/next").status in (200, 502)
    assert [q.trailers for q in o.requests[:1]] == [[("X-Good", "1")]]


def test_to_one_who_gets_a_length(gateway, origin):
    """An HTTP/1.0 client knows no trailers: the body comes whole."""
    o = origin(lambda r: reply(200, chunked(b"hello", trailers=[(b"X-Sum", b"1")]), [("Transfer-Encoding", "chunked")], length=False))
    g = gateway(config(o))
    r = g.get("/", version="HTTP/1.0")
    assert r.body == b"hello"


def test_many_are_bounded(gateway, origin):
    """A trailer section without end is refused; the origin does not get it as a whole request."""
    o = origin()
    g = gateway(config(o))
    with g.client() as c:
        c.request("POST", "/", headers=[("Transfer-Encoding", "chunked")])
        try:
            c.send(b"5\r\nhello\r\n0\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(200000)))
        except ConnectionError:
            pass
        r = c.response()
        assert r.status in (400, 431), r
    assert not o.requests
