"""Expect: 100-continue is passed to the origin or answered (RFC 9110 §10.1.1)."""
from harness import Client, Origin, assert_problem, chunked, config, make_request, reply

EXPECT = [("Expect", "100-continue")]


def test_client_waits_for_100(gateway, origin):
    """An origin that plays by the rules: says 100, takes the body, answers."""
    def script(conn):
        while True:
            r = conn.head()
            if r is None:
                return
            if r.words("expect") == ["100-continue"]:
                conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            conn.body_of(r)
            conn.send(reply(200, r.body))
    o = origin(script=script)
    g = gateway(config(o))
    with g.client() as c:
        for i in range(3):
            body = b"body %d" % i
            c.request("POST", "/", headers=EXPECT + [("Content-Length", str(len(body)))])
            interim = c.head()
            assert interim.status == 100
            c.send(body)
            r = c.response()
            assert r.status == 200 and r.body == body and not r.interim, (r, r.interim)


def test_chunked_body(gateway, origin):
    def script(conn):
        r = conn.head()
        if r.words("expect"):
            conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        conn.body_of(r)
        conn.send(reply(200, r.body))
    o = origin(script=script)
    g = gateway(config(o))
    with g.client() as c:
        c.request("POST", "/", headers=EXPECT + [("Transfer-Encoding", "chunked")])
        assert c.head().status == 100
        c.send(chunked(b"hello", b" world"))
        assert c.response().body == b"hello world"


def test_origin_refuses_at_once(gateway, origin):
    """The final answer comes in place of 100; the body that never came does not put anyone out of step."""
    def script(conn):
        while True:
            r = conn.head()
            if r is None:
                return
            conn.send(reply(403, b"no", [("Connection", "close")]))
            conn.half_close()
            conn.at_end()
            return
    o = origin(script=script)
    g = gateway(config(o))
    with g.client() as c:
        c.request("POST", "/", headers=EXPECT + [("Content-Length", "100000")])
        r = c.response()
        if r.interim:                   # the gateway answered it itself: the body is due
            assert [i.status for i in r.interim] == [100]
        assert r.status == 403 and r.body == b"no"
        if r.closes:
            c.half_close()
            c.expect_end()
        else:
            c.send(b"x" * 100000)
            assert c.get("/next").status == 403


def test_refused_and_kept(gateway, origin):
    """A kept-alive origin that refuses without reading the body: the next request on that origin connection is never
    taken for the body."""
    seen = []

    def script(conn):
        while True:
            r = conn.head()
            if r is None:
                return
            seen.append((r.method, r.target))
            if r.method == "POST":
                conn.send(reply(401, b"who"))
                if not r.words("expect"):
                    conn.body_of(r)
            else:
                conn.send(reply(200, b"fine"))
    o = origin(script=script)
    g = gateway(config(o))
    with g.client() as c:
        c.request("POST", "/p", headers=EXPECT + [("Content-Length", "30")])
        r = c.response()
        assert r.status == 401
    for _ in range(3):
        assert g.get("/g").body == b"fine"
    assert [s for s in seen if s[0] == "GET"] == [("GET", "/g")] * 3


def test_body_sent_without_waiting(gateway, origin):
    def answer(r):
        return reply(200, r.body)
    o = origin(answer)
    g = gateway(config(o))
    with g.client() as c:
        c.send(make_request("POST", "/", EXPECT, b"hello"), make_request("GET", "/next"))
        r = c.response()
        assert r.status == 200 and r.body == b"hello"
        assert all(i.status == 100 for i in r.interim)
        assert c.response().status == 200
    assert [q.target for q in o.requests] == ["/", "/next"]


def test_without_body(gateway, origin):
    o = origin()
    g = gateway(config(o))
    with g.client() as c:
        c.request("GET", "/", headers=EXPECT)
        r = c.response()
        assert r.status == 200
        assert c.get("/b").status == 200


def test_unknown_expectation(gateway, origin):
    o = origin()
    g = gateway(config(o))
    with g.client() as c:
        c.request("POST", "/", headers=[("Expect", "the-unexpected"), ("Content-Length", "5")])
        assert_problem(c.response(), 417, "bad_expect")
    assert not o.heads


def test_gateway_answers_without_100(gateway, origin):
    """Where no body is wanted (404, respond) no 100 is sent."""
    o = origin()
    g = gateway(config(o, routes='{ match = "POST /own"; respond = 204; }, { match = "GET /a"; to = "origin"; }'))
    with g.client() as c:
        c.request("POST", "/none", headers=EXPECT + [("Content-Length", "5")])
        r = c.response()
        assert_problem(r, 404, "no_route")
        assert not r.interim
    with g.client() as c:
        c.request("POST", "/own", headers=EXPECT + [("Content-Length", "5")])
        r = c.response()
        assert r.status == 204 and not r.interim


def test_late_100_after_body(gateway, origin):
    """An origin may say 100 to one that did not ask: the client is not confused."""
    o = origin(lambda r: b"HTTP/1.1 100 Continue\r\n\r\n" + reply(200, r.body))
    g = gateway(config(o))
    with g.client() as c:
        c.request("POST", "/", body=b"hello")
        assert c.response().body == b"hello"
        c.request("GET", "/")
        assert c.response().status == 200
