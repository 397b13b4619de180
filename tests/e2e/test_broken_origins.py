"""Responses of broken origins become 502 with a reason, or a truncation that the client can see; never
a second response (RFC 9112 §6.3, §8)."""
import time

import pytest

from harness import CLOSE, Origin, Truncated, assert_problem, chunked, config, reply, wait_for

EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"

# What the origin sends for the first request, and the reasons that fit.
LENGTH = {"bad_response_length"}
CODING = {"response_coding", "bad_response", "bad_response_length"}
BAD = {"bad_response"}
ANY = None
REFUSED = {
    "two_lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nhello", LENGTH),
    "two_lengths_apart": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: y\r\ncontent-length: 5\r\n\r\nhello", LENGTH),
    "length_list": (b"HTTP/1.1 200 OK\r\nContent-Length: 2, 5\r\n\r\nhello", LENGTH),
    "length_word": (b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nhello", LENGTH),
    "length_minus": (b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhello", LENGTH),
    "length_plus": (b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhello", LENGTH),
    "length_hex": (b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nhello", LENGTH),
    "length_empty": (b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello", LENGTH),
    "length_overflow": (b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618\r\n\r\nhello", LENGTH),
    "length_and_chunked": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", LENGTH),
    "chunked_and_length": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", LENGTH),
    "coding_unknown": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello", CODING),
    "coding_gzip_chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", CODING),
    "coding_twice": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", CODING),
    "coding_odd": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", CODING),
    "coding_blank": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", ANY),
    "status_word": (b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n", BAD),
    "status_short": (b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", BAD),
    "status_long": (b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", BAD),
    "status_low": (b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n", BAD),
    "status_minus": (b"HTTP/1.1 -20 OK\r\nContent-Length: 0\r\n\r\n", BAD),
    "version_2": (b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", BAD),
    "version_word": (b"HTTP/x.y 200 OK\r\nContent-Length: 0\r\n\r\n", BAD),
    "version_none": (b"200 OK\r\nContent-Length: 0\r\n\r\n", BAD),
    "icy": (b"ICY 200 OK\r\nContent-Length: 0\r\n\r\n", BAD),
    "html": (b"<html><body>hello</body></html>\r\n\r\n", BAD),
    "binary": (b"\x15\x03\x01\x00\x02\x02\x0a" * 20 + b"\r\n\r\n", BAD),
    "lf_only": (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", ANY),
    "cr_in_value": (b"HTTP/1.1 200 OK\r\nX-A: b\rc\r\nContent-Length: 0\r\n\r\n", ANY),
    "cr_splits": (b"HTTP/1.1 200 OK\r\nX-A: b\r\rSet-Cookie: x=y\r\nContent-Length: 0\r\n\r\n", ANY),
    "nul_in_value": (b"HTTP/1.1 200 OK\r\nX-A: b\x00c\r\nContent-Length: 0\r\n\r\n", ANY),
    "fold": (b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 0\r\n\r\n", ANY),
    "no_colon": (b"HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 0\r\n\r\n", ANY),
    "blank_name": (b"HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 0\r\n\r\n", ANY),
    "head_huge": (b"HTTP/1.1 200 OK\r\nX-A: " + b"y" * 2000000 + b"\r\nContent-Length: 0\r\n\r\n", {"response_head_too_large"}),
    "head_many": (b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(100000)) + b"Content-Length: 0\r\n\r\n",
                  {"response_head_too_large"}),
    "switched_unasked": (b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n", {"upgrade_failed"}),
}


@pytest.fixture(scope="module")
def world(shared):
    from harness import Gateway

    def script(conn):
        while True:
            r = conn.request()
            if r is None:
                return
            if r.target.startswith("/bad/"):
                case = r.target[5:]
                conn.send(REFUSED[case][0] + EVIL)
                time.sleep(0)           # kept open: the gateway ends it
                conn.at_end()
                return
            conn.send(reply(200, b"good"))
    o = shared(Origin(script=script))
    return shared(Gateway(config(o))), o


@pytest.mark.parametrize("case", REFUSED)
def test_refused(world, case):
    g, o = world
    o.forget()
    with g.client() as c:
        r = c.get("/bad/" + case)
        assert_problem(r, 502, REFUSED[case][1])
        if r.closes:
            c.expect_end()
        else:
            assert c.get("/next").body == b"good", "the client got what was behind the broken response"
    broken = [q for q in o.requests if q.target.startswith("/bad/")]
    assert len(broken) == 1, "a broken answer is an answer: no retry"
    wait_for(broken[0].conn.ended.is_set, "the end of the origin connection")
    assert g.get("/after").body == b"good"


def serve(gateway, origin, raw, then=CLOSE, conf="", **kw):
    """A gateway before an origin that answers everything but /good by `raw`, then closes (or resets, or stays)."""
    def script(conn):
        while True:
            r = conn.request()
            if r is None:
                return
            if r.target == "/good":
                conn.send(reply(200, b"good"))
                continue
            conn.send(raw)
            if then == "reset":
                conn.reset()
                return
            if then == "stay":
                conn.at_end()
                return
            conn.half_close()
            conn.at_end()
            return
    o = origin(script=script)
    return gateway(config(o, **kw)), o


CUT_HEADS = {
    "nothing": b"", "line_part": b"HTTP/1.1 2", "line": b"HTTP/1.1 200 OK\r\n", "header_part": b"HTTP/1.1 200 OK\r\nContent-Le",
    "header": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", "all_but_lf": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r",
    "only_interim": b"HTTP/1.1 103 Early Hints\r\n\r\n",
}


@pytest.mark.parametrize("case", CUT_HEADS)
@pytest.mark.parametrize("how", [CLOSE, "reset"], ids=["close", "reset"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_ends_before_its_head(gateway, origin, case, how, method):
    g, o = serve(gateway, origin, CUT_HEADS[case], how)
    with g.client() as c:
        r = c.ask(method, "/x", body=b"b" if method == "POST" else None)
        assert_problem(r, 502, {"upstream_closed", "upstream_reset", "response_incomplete", "bad_response"})
        assert c.get("/good").body == b"good"
    asked = [q for q in o.requests if q.target == "/x"]
    assert len(asked) == 1, "asked again on another new connection"


CUT_BODIES = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 5000, b"x" * 5000),
    "length_long": (b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 2999999, b"x" * 2999999),
    "chunk_long": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2dc6c0\r\n" + b"x" * 2999999, b"x" * 2999999),
    "length_one_short": (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + b"x" * 9, b"x" * 9),
    "length_no_byte": (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", b""),
    "chunk_data": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhello", b"hello"),
    "chunk_size": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1", b"hello"),
    "chunk_end": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", b"hello"),
    "no_chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b""),
}


@pytest.mark.parametrize("case", CUT_BODIES)
@pytest.mark.parametrize("how", [CLOSE, "reset"], ids=["close", "reset"])
def test_cut_body_is_seen(gateway, origin, case, how):
    """502 when nothing was sent yet, else the connection ends before the message does."""
    raw, sent = CUT_BODIES[case]
    g, o = serve(gateway, origin, raw, how)
    with g.client() as c:
        try:
            r = c.get("/x")
        except (Truncated, ConnectionError) as e:
            got = getattr(e, "response", None)
            if got is not None and got.framing == "length":
                assert sent.startswith(got.body)
        else:
            assert_problem(r, 502, {"response_incomplete", "upstream_closed", "upstream_reset"})
    assert g.get("/good").body == b"good"
    assert len([q for q in o.requests if q.target == "/x"]) == 1


@pytest.mark.parametrize("size", [5, 700000])
@pytest.mark.parametrize("how", [CLOSE, "reset"], ids=["close", "reset"])
def test_body_that_ends_with_its_connection(gateway, origin, size, how):
    """An orderly end is its end; a reset is a cut, and is passed on as one."""
    g, o = serve(gateway, origin, b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * size, how)
    with g.client() as c:
        if how == CLOSE:
            assert c.get("/x").body == b"x" * size
        else:
            with pytest.raises((Truncated, ConnectionError, AssertionError)):
                r = c.get("/x")
                assert r.status == 200
    assert g.get("/good").body == b"good"


BAD_CHUNKS = {
    "size_word": b"zz\r\nhello\r\n0\r\n\r\n", "size_minus": b"-5\r\nhello\r\n0\r\n\r\n", "size_overflow": b"FFFFFFFFFFFFFFFFF\r\nhello\r\n",
    "data_long": b"5\r\nhello!\r\n0\r\n\r\n", "size_lf": b"5\nhello\r\n0\r\n\r\n", "data_lf": b"5\r\nhello\n0\r\n\r\n",
    "second": b"5\r\nhello\r\nzz\r\n\r\n", "ext_nul": b"5;\x00\r\nhello\r\n0\r\n\r\n", "ext_long": b"5;" + b"a" * 200000 + b"\r\nhello\r\n0\r\n\r\n",
    "trailer": b"5\r\nhello\r\n0\r\nbad trailer\r\n\r\n",
}


@pytest.mark.parametrize("case", BAD_CHUNKS)
def test_bad_chunk_is_seen(gateway, origin, case):
    g, o = serve(gateway, origin, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + BAD_CHUNKS[case] + EVIL, "stay")
    with g.client() as c:
        try:
            r = c.get("/x")
        except (Truncated, ConnectionError):
            assert b"smuggled" not in c.seen
        else:
            assert_problem(r, 502, "response_chunk")
    assert g.get("/good").body == b"good"
    wait_for(lambda: [q for q in o.requests if q.target == "/x"][0].conn.ended.is_set(), "the end of the origin connection")


@pytest.mark.parametrize("raw,body", [
    (reply(200, b"hello") + EVIL, b"hello"),
    (reply(200, b"") + EVIL, b""),
    (reply(200, chunked(b"hello"), [("Transfer-Encoding", "chunked")], length=False) + EVIL, b"hello"),
    (reply(404, b"none") + b"junk", b"none"),
    (reply(200, b"x" * 3000000) + EVIL, b"x" * 3000000),
    (reply(200, chunked(b"x" * 1000000, b"y" * 2000000), [("Transfer-Encoding", "chunked")], length=False) + EVIL, b"x" * 1000000 + b"y" * 2000000),
], ids=["length", "empty", "chunked", "junk", "long_length", "long_chunked"])
def test_more_than_it_said(gateway, origin, raw, body):
    """Bytes behind the response belong to nobody; that connection is not used again."""
    g, o = serve(gateway, origin, raw, "stay")
    with g.client() as c:
        for _ in range(3):
            r = c.get("/x")
            assert r.body == body
            assert c.get("/good").body == b"good"
    assert b"smuggled" not in b"".join([bytes(c.seen)])


def test_response_before_a_request(gateway, origin):
    """An idle origin connection that speaks is closed: what it said answers nobody."""
    import threading
    go = threading.Event()
    said = threading.Event()

    def script(conn):
        while True:
            r = conn.request()
            if r is None:
                return
            conn.send(reply(200, b"good"))
            if conn.index == 0:
                go.wait(30)
                conn.send(EVIL)
                said.set()
    o = origin(script=script)
    g = gateway(config(o))
    assert g.get("/1").body == b"good"
    go.set()
    assert said.wait(30)
    wait_for(o.conns[0].ended.is_set, "the end of the connection that spoke")
    for _ in range(3):
        assert g.get("/2").body == b"good"


def test_endless_interim(gateway, origin):
    def script(conn):
        conn.request()
        for _ in range(100000):
            conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 10)
    o = origin(script=script)
    g = gateway(config(o))
    with g.client() as c:
        c.request("GET", "/")
        r = c.response()
        assert_problem(r, 502, "too_many_interim")
        assert len(r.interim) < 1000


def test_endless_100(gateway, origin):
    def script(conn):
        conn.request()
        for _ in range(100000):
            conn.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 10)
    o = origin(script=script)
    g = gateway(config(o))
    with g.client() as c:
        c.request("POST", "/", body=b"x")
        r = c.response()
        assert_problem(r, 502, "too_many_interim")


def test_response_head_limit(gateway, origin):
    def answer(r):
        return reply(200, b"ok", [("X-A", "y" * int(r.target[1:]))])
    o = origin(answer)
    g = gateway(config(o, gateway='limits: { response_head = "8KiB"; };'))
    assert g.get("/6000").status == 200
    assert_problem(g.get("/9000"), 502, "response_head_too_large")


def test_endless_head(gateway, origin):
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\n")
        for i in range(1000000):
            conn.send(b"X-%d: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" % i * 20)
    o = origin(script=script)
    g = gateway(config(o))
    assert_problem(g.get("/"), 502, "response_head_too_large")


def test_answer_before_the_body(gateway, origin):
    """An origin that answers before it has read the request, then closes: its answer is what the client gets."""
    def script(conn):
        if conn.head() is None:
            return
        conn.send(reply(413, b"too much", [("Connection", "close")]))
        conn.half_close()
        conn.at_end()
    o = origin(script=script)
    g = gateway(config(o))
    with g.client() as c:
        c.request("POST", "/", headers=[("Content-Length", "300000")])
        c.send(b"x" * 1000)
        r = c.response()
        assert r.status == 413 and r.body == b"too much"


def test_closed_at_accept(gateway, origin):
    o = origin(script=lambda conn: None)
    g = gateway(config(o))
    assert_problem(g.ask("POST", "/", body=b"x"), 502, {"upstream_closed", "upstream_reset"})


def test_reset_at_accept(gateway, origin):
    o = origin(script=lambda conn: conn.reset())
    g = gateway(config(o))
    assert_problem(g.ask("POST", "/", body=b"x"), 502, {"upstream_closed", "upstream_reset", "connect_refused", "connect_failed"})
