"""Timeouts: head, body progress, idle, send, connect, response, total."""
import socket
import threading

import pytest

from harness import Client, Origin, Truncated, assert_problem, config, make_request, reply, wait_for


def hang(conn):
    """Answers /good, takes everything else and says nothing."""
    while True:
        r = conn.head()
        if r is None:
            return
        if r.target == "/good":
            conn.send(reply(200, b"good"))
        else:
            conn.at_end()
            return


def test_head(gateway, origin):
    o = origin(script=hang)
    g = gateway(config(o, gateway='timeouts: { head = "300ms"; };'))
    with g.client() as c:
        c.send(b"GET / HTTP/1.1\r\nHost: test")
        r = c.response()
        assert_problem(r, 408, "head_timeout")
        assert r.closes
        c.expect_end()
    assert not o.heads


def test_head_of_a_later_request(gateway, origin):
    g = gateway(config(origin(script=hang), gateway='timeouts: { head = "300ms"; idle = "60s"; };'))
    with g.client() as c:
        assert c.get("/good").body == b"good"
        c.send(b"GET / HT")
        assert_problem(c.response(), 408, "head_timeout")
        c.expect_end()


def test_silent_connection(gateway, origin):
    """One that never says anything is closed, without a word or by 408."""
    g = gateway(config(origin(script=hang), gateway='timeouts: { head = "300ms"; idle = "300ms"; };'))
    with g.client() as c:
        got = c.at_end()
        assert got == b"" or got.startswith(b"HTTP/1.1 408 ")


def test_idle(gateway, origin):
    """A kept-alive connection is closed without a word when it is idle too long."""
    g = gateway(config(origin(script=hang), gateway='timeouts: { idle = "300ms"; head = "60s"; };'))
    with g.client() as c:
        assert c.get("/good").body == b"good"
        c.expect_end()


def test_idle_starts_anew(gateway, origin):
    g = gateway(config(origin(script=hang), gateway='timeouts: { idle = "1500ms"; };'))
    with g.client() as c:
        for _ in range(6):
            assert c.get("/good").body == b"good"
            assert c.silent(0.4)


def test_body(gateway, origin):
    o = origin(script=hang)
    g = gateway(config(o, gateway='timeouts: { body = "300ms"; };'))
    with g.client() as c:
        c.send(make_request("POST", "/", [("Content-Length", "100")]) + b"x" * 10)
        r = c.response()
        assert_problem(r, 408, "body_timeout")
        assert r.closes
        c.expect_end()
    for conn in o.conns:
        wait_for(conn.ended.is_set, "the end of the upstream connection")


def test_body_that_makes_progress(gateway, origin):
    """It is the progress that counts, not the whole."""
    o = origin(lambda r: reply(200, r.body))
    g = gateway(config(o, gateway='timeouts: { body = "1s"; };'))
    with g.client() as c:
        c.send(make_request("POST", "/", [("Content-Length", "20")]))
        for _ in range(20):
            threading.Event().wait(0.1)
            c.send(b"x")
        assert c.response().body == b"x" * 20


def test_response(gateway, origin):
    o = origin(script=hang)
    g = gateway(config(o, upstream='timeout: { response = "300ms"; };'))
    with g.client() as c:
        assert_problem(c.get("/"), 504, "response_timeout")
        assert c.get("/good").body == b"good"
    wait_for(o.conns[0].ended.is_set, "the end of the upstream connection")
    assert len([h for h in o.heads if h.target == "/"]) == 1, "a slow answer was asked for twice"


def test_response_of_a_route(gateway, origin):
    g = gateway(config(origin(script=hang), upstream='timeout: { response = "60s"; };',
                       routes='{ match = "GET /slow"; to = "origin"; timeout: { response = "300ms"; }; }, { match = "* /*"; to = "origin"; }'))
    assert_problem(g.get("/slow"), 504, "response_timeout")


def test_total_before_the_head(gateway, origin):
    g = gateway(config(origin(script=hang), upstream='timeout: { response = "60s"; total = "400ms"; };'))
    assert_problem(g.get("/"), 504, "total_timeout")


def test_total_within_the_body(gateway, origin):
    """Progress does not help: the client sees the cut."""
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            conn.send(b"x")
            threading.Event().wait(0.02)
    o = origin(script=script)
    g = gateway(config(o, upstream='timeout: { response = "60s"; total = "500ms"; };'))
    with g.client() as c:
        with pytest.raises((Truncated, ConnectionError)):
            c.get("/")
    wait_for(o.conns[0].ended.is_set, "the end of the upstream connection")


def test_response_that_stalls(gateway, origin):
    """A body without progress is cut, in chunks too: never ended as if it were whole."""
    def script(conn):
        r = conn.request()
        if r.target == "/chunked":
            conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        else:
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
        conn.at_end()
    o = origin(script=script)
    g = gateway(config(o, gateway='timeouts: { body = "400ms"; };'))
    for target in ("/length", "/chunked"):
        with g.client() as c:
            with pytest.raises((Truncated, ConnectionError)):
                c.get(target)
    wait_for(lambda: all(k.ended.is_set() for k in o.conns), "the end of the upstream connections")


def test_connect(gateway, origin):
    """A target whose accept queue is full takes no connection."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen(0)
    fill = []
    for _ in range(8):
        f = socket.socket()
        f.setblocking(False)
        f.connect_ex(s.getsockname())
        fill.append(f)
    g = gateway(config("http://127.0.0.1:%d" % s.getsockname()[1], upstream='timeout: { connect = "400ms"; response = "60s"; };'))
    assert_problem(g.get("/"), 504, "connect_timeout")
    for f in fill:
        f.close()
    s.close()


def test_connect_takes_the_next(gateway, origin):
    """Nothing was sent: the next target may do it, for POST too."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen(0)
    fill = []
    for _ in range(8):
        f = socket.socket()
        f.setblocking(False)
        f.connect_ex(s.getsockname())
        fill.append(f)
    o = origin()
    g = gateway(config(upstreams='two: { targets = [ "http://127.0.0.1:%d", "%s" ]; timeout: { connect = "300ms"; }; };' % (s.getsockname()[1], o.target),
                       routes='{ match = "* /*"; to = "two"; }'))
    for _ in range(3):
        assert g.ask("POST", "/", body=b"x").status == 200
    for f in fill:
        f.close()
    s.close()


def test_send(gateway, origin):
    """A client that reads nothing for that long is let go, and its upstream connection too."""
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
        while True:
            conn.send(b"x" * 65536)
    o = origin(script=script)
    g = gateway(config(o, gateway='timeouts: { send = "500ms"; };', upstream='timeout: { response = "60s"; total = "0s"; };'))
    with g.client(rcvbuf=4096) as c:
        c.request("GET", "/")
        c.head()
        wait_for(o.conns[0].ended.is_set, "the end of the upstream connection")


def test_slow_client_is_not_the_origins_fault(gateway, origin):
    """While it is the client that takes nothing, the response timeout of the upstream does not run."""
    size = 64 << 20

    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // 65536):
            conn.send(b"x" * 65536)
        conn.at_end()
    o = origin(script=script)
    g = gateway(config(o, gateway='timeouts: { send = "60s"; };', upstream='timeout: { response = "500ms"; total = "0s"; };'))
    with g.client(rcvbuf=65536) as c:
        c.request("GET", "/")
        r = c.head()
        threading.Event().wait(1.5)
        c.body_of(r)
        assert len(r.body) == size


def test_slow_origin_is_not_the_clients_fault(gateway, origin):
    """While it is the origin that takes nothing, the body timeout of the client does not run."""
    size = 64 << 20

    def script(conn):
        conn.head()
        threading.Event().wait(1.5)
        conn.read_exact(size)
        conn.send(reply(200, b"all"))
    o = origin(script=script, rcvbuf=65536)
    g = gateway(config(o, gateway='timeouts: { body = "500ms"; };', upstream='timeout: { response = "60s"; total = "0s"; };'))
    with g.client() as c:
        c.send(make_request("POST", "/", [("Content-Length", str(size))]))
        t = threading.Thread(target=lambda: c.send(b"x" * size), daemon=True)
        t.start()
        assert c.response().body == b"all"
        t.join()


def test_idle_upstream_connection(gateway, origin):
    o = origin()
    g = gateway(config(o, upstream='pool: { idle_timeout = "300ms"; };'))
    assert g.get("/").status == 200
    wait_for(o.conns[0].ended.is_set, "the end of the idle upstream connection")
    assert g.get("/").status == 200
