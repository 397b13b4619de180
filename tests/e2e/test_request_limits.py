"""Limits of a request: head and header lines (431), target (414), body (413); before the origin sees anything."""
import pytest

from harness import Gateway, Origin, assert_problem, chunked, config, wait_for

LIMITS = 'limits: { head = "4KiB"; headers = 20; target = "512B"; body = "10KiB"; };'
ROUTES = """
  { name = "small"; match = "POST /small"; to = "origin"; max_body = "100B"; },
  { name = "big";   match = "POST /big";   to = "origin"; max_body = "1MiB"; },
  { match = "* /*"; to = "origin"; }
"""


@pytest.fixture(scope="module")
def world(shared):
    o = shared(Origin())
    return shared(Gateway(config(o, gateway=LIMITS, routes=ROUTES))), o


@pytest.fixture
def gw(world):
    world[1].forget()
    return world


def request(target=b"/a", lines=(), method=b"GET"):
    return method + b" " + target + b" HTTP/1.1\r\nHost: test.example\r\n" + b"".join(s + b"\r\n" for s in lines) + b"\r\n"


def of_size(n):
    """A request whose head has n bytes."""
    base = len(request(lines=[b"X-Pad: "]))
    return request(lines=[b"X-Pad: " + b"p" * (n - base)])


def ok(gw, data):
    g, o = gw
    with g.client() as c:
        c.send(data)
        r = c.response()
        assert r.status == 200, r
        return r


def refused(gw, data, status, reason):
    g, o = gw
    with g.client() as c:
        c.send(data)
        r = c.response()
        assert_problem(r, status, reason)
        assert r.closes
        c.half_close()
        c.expect_end()
    assert not o.heads, "a refused request reached the origin"


def test_head_at_limit(gw):
    assert len(of_size(4096)) == 4096
    ok(gw, of_size(4096))


def test_head_over_limit(gw):
    refused(gw, of_size(4097), 431, "head_too_large")


def test_head_far_over_limit(gw):
    refused(gw, of_size(300000), 431, "head_too_large")


def test_head_without_end(gw):
    g, o = gw
    with g.client() as c:
        c.send(b"GET /a HTTP/1.1\r\nHost: test.example\r\n")
        try:
            for i in range(2000):
                c.send(b"X-%d: y\r\n" % i)
        except ConnectionError:
            pass
        r = c.response()
        assert_problem(r, 431, {"head_too_large", "too_many_headers"})
    assert not o.heads


def test_header_without_end(gw):
    refused(gw, b"GET /a HTTP/1.1\r\nHost: test.example\r\nX: " + b"y" * 10000, 431, "head_too_large")


def test_headers_at_limit(gw):
    ok(gw, request(lines=[b"X-%d: y" % i for i in range(19)]))


def test_headers_over_limit(gw):
    refused(gw, request(lines=[b"X-%d: y" % i for i in range(20)]), 431, "too_many_headers")


def test_target_at_limit(gw):
    r = ok(gw, request(target=b"/" + b"a" * 511))
    assert r.body == b"GET /" + b"a" * 511


def test_target_over_limit(gw):
    refused(gw, request(target=b"/" + b"a" * 512), 414, "target_too_long")


def test_target_query_counts(gw):
    refused(gw, request(target=b"/?" + b"a" * 511), 414, "target_too_long")


def test_target_without_end(gw):
    refused(gw, b"GET /" + b"a" * 3000, 414, "target_too_long")


def test_target_far_over_limit(gw):
    refused(gw, request(target=b"/" + b"a" * 100000), 414, "target_too_long")


def test_method_without_end(gw):
    g, o = gw
    with g.client() as c:
        c.send(b"G" * 100000)
        r = c.response()
        assert r.status in (400, 414, 431), r
        c.half_close()
        c.expect_end()
    assert not o.heads


def test_body_at_limit(gw):
    g, o = gw
    assert g.ask("POST", "/a", body=b"x" * 10240).status == 200
    assert len(o.requests[0].body) == 10240


def test_body_over_limit(gw):
    g, o = gw
    with g.client() as c:
        c.send(request(method=b"POST", lines=[b"Content-Length: 10241"]) + b"x" * 10241)
        r = c.response()
        assert_problem(r, 413, "body_too_large")
        if not r.closes:                # then the body was taken and the next request is the next
            c.send(request(b"/next"))
            assert c.response().body == b"GET /next"
            o.forget()
    assert not o.heads


def test_body_far_over_limit(gw):
    """The answer does not wait for the body."""
    g, o = gw
    with g.client() as c:
        c.send(request(method=b"POST", lines=[b"Content-Length: 10000000"]))
        r = c.response()
        assert_problem(r, 413, "body_too_large")
        assert r.closes
        c.half_close()
        c.expect_end()
    assert not o.heads


def test_body_over_limit_sent_at_once(gw):
    refused(gw, request(method=b"POST", lines=[b"Content-Length: 500000"]) + b"x" * 500000, 413, "body_too_large")


def test_body_over_limit_expect(gw):
    """The client that asks first is told no and never 100."""
    g, o = gw
    with g.client() as c:
        c.send(request(method=b"POST", lines=[b"Content-Length: 500000", b"Expect: 100-continue"]))
        r = c.response()
        assert_problem(r, 413, "body_too_large")
        assert not r.interim
    assert not o.heads


def test_chunked_body_at_limit(gw):
    g, o = gw
    with g.client() as c:
        c.send(request(method=b"POST", lines=[b"Transfer-Encoding: chunked"]), chunked(b"x" * 10000, b"y" * 240))
        assert c.response().status == 200
    assert len(o.requests[0].body) == 10240


def test_chunked_body_over_limit(gw):
    """No length tells before: the origin may have begun to read, but never gets the whole."""
    g, o = gw
    with g.client() as c:
        c.send(request(method=b"POST", lines=[b"Transfer-Encoding: chunked"]), chunked(b"x" * 10000, b"y" * 241))
        r = c.response()
        assert_problem(r, 413, "body_too_large")
        assert r.closes
        c.half_close()
        c.expect_end()
    assert not o.requests
    for q in o.heads:
        wait_for(q.conn.ended.is_set, "the end of the origin connection")


def test_chunk_size_over_limit(gw):
    """One chunk size of far more than the limit."""
    g, o = gw
    with g.client() as c:
        c.send(request(method=b"POST", lines=[b"Transfer-Encoding: chunked"]), b"ffffffffffff\r\n" + b"x" * 20000)
        assert_problem(c.response(), 413, "body_too_large")
    assert not o.requests


def test_route_has_its_own(gw):
    g, o = gw
    assert g.ask("POST", "/small", body=b"x" * 100).status == 200
    assert_problem(g.ask("POST", "/small", body=b"x" * 101), 413, "body_too_large")
    assert g.ask("POST", "/big", body=b"x" * 1048576).status == 200
    with g.client() as c:
        c.send(request(method=b"POST", target=b"/big", lines=[b"Content-Length: 1048577"]))
        assert_problem(c.response(), 413, "body_too_large")
    assert sorted(len(q.body) for q in o.requests) == [100, 1048576]


def test_very_large_heads(gateway, origin):
    """As large as may be configured, both ways."""
    from harness import reply
    big = "v" * 250000
    o = origin(lambda r: reply(200, r.get("x-big")[-5:].encode(), [("X-One", big), ("X-Two", big), ("X-Three", "3")]))
    g = gateway(config(o, gateway='limits: { head = "600KiB"; target = "250KiB"; response_head = "600KiB"; };'))
    with g.client() as c:
        for _ in range(3):
            c.send(request(target=b"/" + b"t" * 200000, lines=[b"X-Big: " + big.encode() + b"-last"]))
            r = c.response()
            assert (r.status, r.body) == (200, b"-last") and r.get("x-one") == r.get("x-two") == big and r.get("x-three") == "3"
    assert o.requests[0].target == "/" + "t" * 200000


def test_defaults_take_ordinary_requests(gateway, origin):
    """Large cookies and 60 headers are ordinary; 10 MB bodies too."""
    o = origin()
    g = gateway(config(o))
    with g.client() as c:
        c.send(request(lines=[b"X-%d: y" % i for i in range(60)] + [b"Cookie: " + b"c" * 16000]))
        assert c.response().status == 200
        c.send(request(target=b"/" + b"a" * 7000))
        assert c.response().status == 200
    assert g.ask("POST", "/", body=b"x" * (10 << 20)).status == 200
    assert len(o.requests[-1].body) == 10 << 20
