"""What is tried again, and what never is: a byte that may have been acted on is not sent twice."""
import threading

import pytest

from harness import CLOSE, Origin, assert_problem, chunked, config, free_port, make_request, reply, wait_for


def dies_on_second(how="close", late=False):
    """An origin script: the first request of the first connection is answered, its second is taken and the connection
    ends without a byte. Later connections work."""
    def script(conn):
        n = 0
        while True:
            r = conn.request()
            if r is None:
                return
            n += 1
            if conn.index == 0 and n == 2:
                if how == "reset":
                    conn.reset()
                return
            conn.send(reply(200, b"%d " % conn.index + r.body))
    return script


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_dead_kept_connection(gateway, origin, how, method):
    o = origin(script=dies_on_second(how))
    g = gateway(config(o))
    with g.client() as c:
        assert c.get("/1").status == 200
        r = c.ask(method, "/2")
        assert r.status == 200, r
    assert [q.target for q in o.requests] == ["/1", "/2", "/2"]
    assert o.requests[0].conn is o.requests[1].conn is not o.requests[2].conn


@pytest.mark.parametrize("body", ["length", "chunked"])
def test_put_is_repeated_with_its_body(gateway, origin, body):
    o = origin(script=dies_on_second())
    g = gateway(config(o))
    data = bytes(range(256)) * 16
    with g.client() as c:
        assert c.get("/1").status == 200
        if body == "length":
            r = c.ask("PUT", "/2", body=data)
        else:
            c.send(make_request("PUT", "/2", [("Transfer-Encoding", "chunked")], chunked(data[:1000], data[1000:])))
            r = c.response()
        assert r.status == 200 and r.body == b"1 " + data
    assert [q.body for q in o.requests] == [b"", data, data]


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("method", ["POST", "PATCH", "FROB"])
@pytest.mark.parametrize("body", [b"pay", b"", None], ids=["body", "empty", "none"])
def test_unsafe_is_not_repeated(gateway, origin, how, method, body):
    o = origin(script=dies_on_second(how))
    g = gateway(config(o))
    with g.client() as c:
        assert c.get("/1").status == 200
        r = c.ask(method, "/2", body=body)
        assert_problem(r, 502, {"upstream_closed", "upstream_reset"})
        assert c.get("/3").status == 200
    assert [q.target for q in o.heads] == ["/1", "/2", "/3"], "an unsafe request was sent twice"
    assert o.raw().count(b"pay") == (1 if body else 0)


def test_idle_connection_closed_before(gateway, origin):
    """Known to be dead before the request: even a POST takes a new one."""
    def script(conn):
        r = conn.request()
        if r:
            conn.send(reply(200, r.body))
            conn.half_close()
            conn.at_end()
    o = origin(script=script)
    g = gateway(config(o))
    with g.client() as c:
        for i in range(10):
            r = c.ask("POST", "/%d" % i, body=b"b%d" % i)
            assert r.status == 200 and r.body == b"b%d" % i
            wait_for(o.conns[i].ended.is_set, "the gateway's end of the closed connection")
    assert len(o.heads) == 10


def test_first_byte_came(gateway, origin):
    """Once a byte of the response is there nothing is repeated."""
    def script(conn):
        n = 0
        while True:
            r = conn.request()
            if r is None:
                return
            n += 1
            if n == 2:
                conn.send(b"H")
                return
            conn.send(reply())
    o = origin(script=script)
    g = gateway(config(o))
    with g.client() as c:
        assert c.get("/1").status == 200
        assert_problem(c.get("/2"), 502)
    assert [q.target for q in o.heads] == ["/1", "/2"]


def test_answer_that_is_an_error_is_no_failure(gateway, origin):
    o = origin(lambda r: reply(503, b"busy"))
    g = gateway(config(o))
    r = g.get("/")
    assert r.status == 503 and r.body == b"busy"
    assert len(o.requests) == 1


def test_new_connection_that_dies(gateway, origin):
    """A byte of it may have been acted on: once, whatever the method."""
    o = origin(script=lambda conn: conn.request())
    g = gateway(config(o))
    assert_problem(g.get("/safe"), 502, "upstream_closed")
    assert len([q for q in o.heads if q.target == "/safe"]) == 1
    assert_problem(g.ask("POST", "/unsafe", body=b"x"), 502, "upstream_closed")
    assert len([q for q in o.heads if q.target == "/unsafe"]) == 1


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_refused_takes_the_next_target(gateway, origin, method):
    """Not a byte was sent: any method goes on to the next target."""
    o = origin(lambda r: reply(200, r.body))
    dead = free_port()
    g = gateway(config(upstreams='two: { targets = [ "http://127.0.0.1:%d", "%s" ]; };' % (dead, o.target),
                       routes='{ match = "* /*"; to = "two"; }'))
    for i in range(6):
        r = g.ask(method, "/%d" % i, body=b"body" if method != "GET" else None)
        assert r.status == 200, r
    assert sorted(o.targets()) == ["/%d" % i for i in range(6)]


def test_all_refused(gateway, origin):
    g = gateway(config(upstreams='two: { targets = [ "http://127.0.0.1:%d", "http://127.0.0.1:%d" ]; };' % (free_port(), free_port()),
                       routes='{ match = "* /*"; to = "two"; }'))
    with g.client() as c:
        for _ in range(3):
            assert_problem(c.get("/"), 502, "connect_refused")
        r = c.ask("POST", "/", body=b"x" * 1000)
        assert_problem(r, 502, "connect_refused")


def test_unix_target_missing(gateway, origin, tmp_path):
    g = gateway(config("unix:%s/none.sock" % tmp_path))
    assert_problem(g.get("/"), 502, {"connect_refused", "connect_failed"})


def test_target_that_restarts(gateway, origin):
    """Requests while a target goes and comes back: those on kept-alive connections are repeated, those on refused ones go to
    the other target. (A request on a new connection that dies may have been acted on, and is not repeated: so that there
    are none, each target has as many connections as there are clients before it goes.)"""
    n = 3
    at = threading.Barrier(n)

    def answer(r):
        if r.target == "/warm":
            try:
                at.wait(20)
            except threading.BrokenBarrierError:
                pass
        return reply(200, r.target.encode())
    a, b = origin(answer), origin(answer)
    g = gateway(config(upstreams='two: { targets = [ "%s", "%s" ]; }; one: { targets = [ "%s" ]; }; other: { targets = [ "%s" ]; };' % (a.target, b.target, a.target, b.target),
                       routes='{ match = "* /warm"; when: { query: { t = "b"; }; }; to = "other"; rewrite = "/warm"; }, { match = "* /warm"; to = "one"; }, { match = "* /*"; to = "two"; }'))
    bad, good = [], [0]

    def load(k, upto):
        with g.client() as c:
            i = 0
            while good[0] < upto and not bad:
                i += 1
                r = c.get("/%d/%d" % (k, i))
                if r.status == 200 and r.body == b"/%d/%d" % (k, i):
                    good[0] += 1
                else:
                    bad.append(r)

    def all_at_once(fn, *args):
        threads = [threading.Thread(target=fn, args=(k,) + args) for k in range(n)]
        for t in threads:
            t.start()
        return threads
    for _ in range(5):
        for query in ("", "?t=b"):
            for t in all_at_once(lambda k: g.get("/warm" + query)):
                t.join()
        at.reset()
        threads = all_at_once(load, good[0] + 300)
        upto = good[0] + 100
        wait_for(lambda: good[0] > upto or bad, "load")
        a.close()
        for t in threads:
            t.join()
        assert not bad, bad[:3]
        a.open()


def test_post_is_never_sent_twice_under_restarts(gateway, origin):
    """Each POST arrives at most once at all targets together."""
    a, b = origin(), origin()
    g = gateway(config(upstreams='two: { targets = [ "%s", "%s" ]; };' % (a.target, b.target),
                       routes='{ match = "* /*"; to = "two"; }', workers=2))
    answers = {}

    def load(n):
        with g.client() as c:
            for i in range(150):
                key = "/%d/%d" % (n, i)
                answers[key] = c.ask("POST", key, body=b"x").status
    threads = [threading.Thread(target=load, args=(n,)) for n in range(3)]
    for t in threads:
        t.start()
    while any(t.is_alive() for t in threads):
        a.close()
        threading.Event().wait(0.02)
        a.open()
        threading.Event().wait(0.02)
    seen = [q.target for o in (a, b) for q in o.heads]
    assert len(seen) == len(set(seen)), "sent twice: %r" % [s for s in seen if seen.count(s) > 1][:5]
    for key, status in answers.items():
        assert status in (200, 502), (key, status)
        if status == 200:
            assert key in seen


def test_attempts_is_a_limit(gateway, origin):
    """attempts = 0: no further attempt, not even after a refused connection."""
    o = origin()
    g = gateway(config(upstreams='two: { targets = [ "http://127.0.0.1:%d", "%s" ]; retry: { attempts = 0; }; };' % (free_port(), o.target),
                       routes='{ match = "* /*"; to = "two"; }'))
    got = sorted(g.get("/").status for _ in range(4))
    assert set(got) <= {200, 502}


@pytest.mark.parametrize("status", [502, 503, 504])
def test_on_status(gateway, origin, status):
    """retry.on may name a status: then a safe request goes on to the next target, an unsafe one does not."""
    a = origin(lambda r: reply(status, b"busy"))
    b = origin(lambda r: reply(200, b"fine"))
    g = gateway(config(upstreams='two: { targets = [ "%s", "%s" ]; retry: { attempts = 1; on = [ "connect", "%d" ]; }; };' % (a.target, b.target, status),
                       routes='{ match = "* /*"; to = "two"; }'))
    for _ in range(4):
        assert g.get("/").body == b"fine"
    assert a.requests
    got = {g.ask("POST", "/", body=b"x").status for _ in range(4)}
    assert status in got
