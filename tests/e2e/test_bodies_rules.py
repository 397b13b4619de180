"""Which responses have a body: HEAD, 1xx, 204, 304 (RFC 9112 §6.3)."""
import pytest

from harness import CLOSE, Origin, Truncated, assert_problem, config, reply


def follow(gateway, origin, first, method, check, second_target="/second"):
    """Asks twice on one connection: the second answer is the second answer."""
    def answer(r):
        return first if r.target == "/first" else reply(200, b"second")
    o = origin(answer)
    g = gateway(config(o))
    with g.client() as c:
        r = c.ask(method, "/first")
        check(r)
        if not r.closes:
            assert c.get(second_target).body == b"second"
    assert g.get(second_target).body == b"second"
    return o


def test_head_with_length(gateway, origin):
    def check(r):
        assert r.status == 200 and r.get("content-length") == "12345" and not r.has("transfer-encoding") and not r.closes
    o = follow(gateway, origin, reply(200, b"", [("Content-Length", "12345")], length=False), "HEAD", check)
    assert len(o.conns) == 1 and o.requests[0].method == "HEAD"


def test_head_with_chunked(gateway, origin):
    def check(r):
        assert r.status == 200 and not r.has("content-length") and not r.closes
    o = follow(gateway, origin, reply(200, b"", [("Transfer-Encoding", "chunked")], length=False), "HEAD", check)
    assert len(o.conns) == 1


def test_head_without_framing(gateway, origin):
    def check(r):
        assert r.status == 200
    follow(gateway, origin, reply(200, b"", length=False), "HEAD", check)


def test_head_answered_with_a_body(gateway, origin):
    """A broken origin sends one all the same: the client never sees it, and that connection is not used again."""
    def check(r):
        assert r.status == 200
    o = follow(gateway, origin, reply(200, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"), "HEAD", check)
    assert o.requests[0].conn is not o.requests[-1].conn


@pytest.mark.parametrize("status", [204, 304])
def test_no_body(gateway, origin, status):
    def check(r):
        assert r.status == status and r.get("x-a") == "b" and not r.has("transfer-encoding")
        if status == 204:
            assert not r.has("content-length"), r.head
    o = follow(gateway, origin, reply(status, b"", [("X-A", "b")]), "GET", check)
    assert len(o.conns) == 1


def test_304_with_length(gateway, origin):
    """It may say how long the body would be."""
    def check(r):
        assert r.status == 304 and r.all("content-length") in ([], ["500"])
    o = follow(gateway, origin, reply(304, b"", [("Content-Length", "500"), ("ETag", '"x"')]), "GET", check)
    assert len(o.conns) == 1


@pytest.mark.parametrize("lines", [[("Content-Length", "5")], [("Transfer-Encoding", "chunked")]])
def test_204_with_framing(gateway, origin, lines):
    """RFC 9110 §8.6, RFC 9112 §6.1: not allowed; it goes on without, or is refused."""
    def check(r):
        assert r.status in (204, 502)
        if r.status == 204:
            assert not r.has("content-length") and not r.has("transfer-encoding"), r.head
    follow(gateway, origin, reply(204, b"", lines), "GET", check)


@pytest.mark.parametrize("status", [204, 304])
def test_body_after_no_body(gateway, origin, status):
    """What follows is no response for anyone."""
    def check(r):
        assert r.status in (status, 502)
    o = follow(gateway, origin, reply(status, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"), "GET", check)
    assert o.requests[0].conn is not o.requests[-1].conn


def test_interim_are_passed(gateway, origin):
    def check(r):
        assert [(i.status, i.get("link")) for i in r.interim] == [(103, "</a>"), (103, "</b>")]
        assert r.status == 200 and r.body == b"ok"
    follow(gateway, origin, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n" + reply(), "GET", check)


def test_interim_comes_at_once(gateway, origin):
    """It does not wait for the final response."""
    import threading
    go = threading.Event()

    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        go.wait(30)
        conn.send(reply())
        conn.request()
    o = origin(script=script)
    g = gateway(config(o))
    with g.client() as c:
        c.request("GET", "/")
        assert c.head().status == 103
        go.set()
        assert c.response().status == 200


def test_interim_with_length(gateway, origin):
    """A length in an interim response frames nothing."""
    def check(r):
        assert r.status in (200, 502)
        if r.status == 200:
            assert r.body == b"ok" and not any(i.has("content-length") for i in r.interim)
    follow(gateway, origin, b"HTTP/1.1 103 Early Hints\r\nContent-Length: 50\r\n\r\n" + reply(), "GET", check)


def test_empty_body(gateway, origin):
    def check(r):
        assert r.status == 200 and r.body == b"" and r.get("content-length") == "0"
    follow(gateway, origin, reply(200, b""), "GET", check)


def test_until_close(gateway, origin):
    """A body that ends with its connection becomes chunks."""
    def check(r):
        assert r.framing == "chunked" and r.body == b"x" * 100000
    follow(gateway, origin, (reply(200, b"x" * 100000, length=False), CLOSE), "GET", check)


def test_post_without_body(gateway, origin):
    """No length and no coding: no body. The next bytes are the next request."""
    o = origin()
    g = gateway(config(o))
    with g.client() as c:
        c.send(b"POST /a HTTP/1.1\r\nHost: test.example\r\n\r\nGET /b HTTP/1.1\r\nHost: test.example\r\n\r\n")
        assert c.response().body == b"POST /a"
        assert c.response().body == b"GET /b"
    assert [q.body for q in o.requests] == [b"", b""]
    assert o.requests[0].all("content-length") in ([], ["0"]) and not o.requests[0].has("transfer-encoding")


@pytest.mark.parametrize("target,status", [("/none", 404), ("/own", 200), ("/moved", None), ("/down", 502)])
def test_own_answers_to_head(gateway, origin, target, status):
    """The gateway's own answers to HEAD have the length of the body and no body."""
    from harness import free_port
    g = gateway(config("http://127.0.0.1:%d" % free_port(), routes="""
      { match = "GET,HEAD /own"; respond = { status = 200; body = "hello"; type = "text/plain"; }; },
      { match = "GET,HEAD /moved"; redirect = "/there"; }, { match = "GET,HEAD /down"; to = "origin"; }"""))
    with g.client() as c:
        for _ in range(2):
            r = c.ask("HEAD", target)
            if status:
                assert r.status == status
            assert not r.closes
        r = c.get(target)
        assert status is None or r.body
        if target == "/own":
            assert c.ask("HEAD", target).get("content-length") == "5" and r.body == b"hello"


def test_large_length_in_head(gateway, origin):
    def check(r):
        assert r.get("content-length") == "123456789012345"
    follow(gateway, origin, reply(200, b"", [("Content-Length", "123456789012345")], length=False), "HEAD", check)
