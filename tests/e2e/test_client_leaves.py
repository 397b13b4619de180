"""A client that half-closes after its request still gets its answer; one that leaves frees its upstream
connection at once."""
import threading

import pytest

from harness import Origin, config, make_request, reply, wait_for


@pytest.mark.parametrize("delay", [0, 0.5, 2.5])
@pytest.mark.parametrize("body", [None, b"hello", b"x" * 300000], ids=["none", "short", "long"])
def test_half_close_gets_its_answer(gateway, origin, delay, body):
    def answer(r):
        threading.Event().wait(delay)
        return reply(200, r.body + b"!" + b"y" * 300000)
    o = origin(answer)
    g = gateway(config(o))
    with g.client() as c:
        c.send(make_request("POST" if body else "GET", "/", body=body))
        c.half_close()
        r = c.response()
        assert r.status == 200 and r.body == (body or b"") + b"!" + b"y" * 300000
        c.expect_end()


def test_half_close_of_a_chunked_body(gateway, origin):
    o = origin(lambda r: reply(200, r.body))
    g = gateway(config(o))
    with g.client() as c:
        c.send(make_request("POST", "/", [("Transfer-Encoding", "chunked")], b"5\r\nhello\r\n0\r\n\r\n"))
        c.half_close()
        assert c.response().body == b"hello"
        c.expect_end()


def test_half_close_for_the_gateways_own_answers(gateway, origin):
    g = gateway(config(origin(), routes='{ match = "GET /own"; respond = 204; }'))
    for target, status in (("/own", 204), ("/none", 404)):
        with g.client() as c:
            c.send(make_request("GET", target))
            c.half_close()
            assert c.response().status == status
            c.expect_end()


def held(origin):
    """An origin that answers /held only when released, and counts how each held connection ended."""
    go = threading.Event()

    def script(conn):
        while True:
            r = conn.head()
            if r is None:
                return
            if r.target == "/held":
                conn.sock.settimeout(0.02)
                conn.left = False
                while not go.is_set():
                    try:
                        if not conn.fill():
                            conn.left = True
                            return
                    except ConnectionError:
                        conn.left = True
                        return
                    except OSError:
                        pass
                conn.sock.settimeout(60)
            conn.send(reply())
    o = origin(script=script)
    return o, go


def test_reset_while_waiting(gateway, origin):
    o, go = held(origin)
    g = gateway(config(o))
    with g.client() as c:
        c.request("GET", "/held")
        wait_for(lambda: o.heads, "the request at the origin")
        c.reset()
    wait_for(o.conns[0].ended.is_set, "the end of the upstream connection")
    assert o.conns[0].left
    assert g.get("/").status == 200


def test_close_while_waiting(gateway, origin):
    """A close is at first a half-close like any other; that nobody is there is found out soon."""
    o, go = held(origin)
    g = gateway(config(o))
    with g.client() as c:
        c.request("GET", "/held")
        wait_for(lambda: o.heads, "the request at the origin")
        c.close()
    wait_for(o.conns[0].ended.is_set, "the end of the upstream connection")
    assert o.conns[0].left
    assert g.get("/").status == 200


def test_reset_while_a_pipeline_waits(gateway, origin):
    o, go = held(origin)
    g = gateway(config(o))
    with g.client() as c:
        c.send(make_request("GET", "/held") * 5)
        wait_for(lambda: o.heads, "the request at the origin")
        c.reset()
    wait_for(lambda: all(k.ended.is_set() for k in o.conns), "the end of the upstream connections")
    assert g.get("/").status == 200


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_leaves_in_the_middle_of_its_body(gateway, origin, how, framing):
    """An incomplete request: the origin sees a cut one, never a whole one."""
    o, go = held(origin)
    g = gateway(config(o))
    with g.client() as c:
        if framing == "length":
            c.send(make_request("POST", "/held", [("Content-Length", "1000")]) + b"x" * 500)
        else:
            c.send(make_request("POST", "/held", [("Transfer-Encoding", "chunked")]) + b"5\r\nhello\r\n")
        wait_for(lambda: o.heads, "the request at the origin")
        getattr(c, how)()
    wait_for(o.conns[0].ended.is_set, "the end of the upstream connection")
    assert o.conns[0].left
    assert b"\r\n0\r\n" not in bytes(o.conns[0].seen), "a cut body was ended as if it were whole"
    assert g.get("/").status == 200


@pytest.mark.parametrize("how", ["reset", "close"])
def test_leaves_in_the_middle_of_the_response(gateway, origin, how):
    def script(conn):
        while True:
            r = conn.request()
            if r is None:
                return
            if r.target != "/big":
                conn.send(reply())
                continue
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 40))
            while True:
                conn.send(b"x" * 65536)
    o = origin(script=script)
    g = gateway(config(o))
    with g.client() as c:
        c.request("GET", "/big")
        c.head()
        c.read_exact(100000)
        getattr(c, how)()
    wait_for(lambda: o.conns[0].ended.is_set(), "the end of the upstream connection")
    assert g.get("/").status == 200


def test_many_that_leave(gateway, origin):
    """After two hundred that left, no upstream connection and no memory is held."""
    o, go = held(origin)
    g = gateway(config(o, workers=2))
    clients = [g.client() for _ in range(200)]
    for c in clients:
        c.request("GET", "/held")
    wait_for(lambda: len(o.heads) == 200, "200 requests at the origin")
    for c in clients:
        c.reset()
    wait_for(lambda: not o.open_conns(), "the end of all upstream connections")
    go.set()
    assert g.get("/").status == 200


def test_leaves_before_a_word(gateway, origin):
    g = gateway(config(origin()))
    for how in ("close", "reset", "half_close"):
        for _ in range(20):
            c = g.client()
            getattr(c, how)()
            c.close()
    with g.client() as c:
        c.half_close()
        c.expect_end()
    assert g.get("/").status == 200


def test_leaves_in_the_middle_of_its_head(gateway, origin):
    o = origin()
    g = gateway(config(o))
    for how in ("close", "reset"):
        c = g.client()
        c.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
        getattr(c, how)()
    with g.client() as c:
        c.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
        c.half_close()
        got = c.at_end()
        assert got == b"" or got.startswith(b"HTTP/1.1 400 "), got
    assert not o.heads
    assert g.get("/").status == 200
