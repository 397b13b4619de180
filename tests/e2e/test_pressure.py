"""Peers that send and do not read, or the other way round, at the places where the most piles up: no worker dies of
it, nobody waits in vain, and what was sent arrives."""
import hashlib
import random
import signal
import socket
import threading
import time

import pytest

from harness import SANITIZED, WATCHED, config, make_request, memory, reply, wait_for

MB = 1 << 20


def ok_again(g):
    assert g.get("/after").status == 200


def push(wire, data, seconds=2.0):
    """Sends as much as is taken; gives up when nothing went on for a while."""
    sent, view = 0, memoryview(data)
    old = wire.sock.gettimeout()
    wire.sock.settimeout(seconds)
    try:
        while sent < len(data):
            sent += wire.sock.send(view[sent:sent + 65536])
    except socket.timeout:
        pass
    finally:
        wire.sock.settimeout(old)
    return sent


ONES = b"1\r\nx\r\n" * MB                # 6 MB of chunks of one byte


def test_small_chunks_to_an_origin_that_does_not_read(gateway, origin):
    go = threading.Event()
    got = []

    def script(conn):
        r = conn.head()
        if r and r.target == "/up":
            go.wait(30)
            conn.body_of(r)
            got.append(r.body)
            conn.send(reply())
        elif r:
            conn.send(reply())
    g = gateway(config(origin(script=script, rcvbuf=4096)))
    with g.client() as c:
        c.send("POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent = push(c, ONES)
        ok_again(g)
        go.set()
        c.sock.settimeout(60)
        for i in range(sent, len(ONES), 65536):
            c.send(ONES[i:i + 65536])
        c.send(b"0\r\n\r\n")
        assert c.response().status == 200
    assert got[0] == b"x" * MB


def test_small_chunks_to_a_client_that_does_not_read(gateway, origin):
    def script(conn):
        r = conn.head()
        if r and r.target == "/down":
            conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            conn.sock.settimeout(60)
            conn.send(ONES + b"0\r\n\r\n")
        elif r:
            conn.send(reply())
    g = gateway(config(origin(script=script)))
    with g.client(rcvbuf=4096, timeout=60) as c:
        c.request("GET", "/down")
        time.sleep(1)
        ok_again(g)
        assert c.response().body == b"x" * MB


def test_body_ready_before_the_origin_is(gateway, origin):
    """All of a large body lies in the kernel before the upstream is connected."""
    body = random.Random(1).randbytes(3 * MB)

    def script(conn):
        r = conn.head()
        while r:                        # to close here would race with the next POST
            time.sleep(0.2)
            conn.body_of(r)
            conn.send(reply(200, hashlib.sha256(r.body).hexdigest().encode()))
            r = conn.head()
    g = gateway(config(origin(script=script)))
    for n in (100_000, 300_000, 400_000, 700_000, 3 * MB):
        with g.client() as c:
            c.send(make_request("POST", "/up", body=body[:n]))
            r = c.response()
            assert r.body.decode() == hashlib.sha256(body[:n]).hexdigest()


def test_heads_line_by_line(gateway, origin):
    """Interim and final heads of many lines, a packet for each, cost no more memory than is there."""
    def script(conn):
        while True:
            r = conn.head()
            if not r:
                return
            if r.target == "/slow":
                for _ in range(15):
                    conn.send("HTTP/1.1 103 Early Hints\r\n")
                    for i in range(400):
                        conn.send("a:\r\n")
                        if i % 8 == 0:
                            time.sleep(0.0002)
                    conn.send("\r\n")
                conn.send("HTTP/1.1 200 OK\r\n")
                for i in range(900):
                    conn.send("a%d: %s\r\n" % (i, "v" * 20))
                conn.send("Content-Length: 2\r\n\r\nok")
            else:
                conn.send(reply())
    g = gateway(config(origin(script=script)))
    with g.client() as c:
        r = c.get("/slow")
        assert r.status == 200 and len(r.interim) == 15
        assert len(r.interim[0].headers) >= 400 and len(r.headers) > 900


def test_heads_of_a_megabyte(gateway, origin):
    """The largest heads that may be configured, interim ones too, to a client that reads late."""
    lines = "".join("h%d: %s\r\n" % (i, "v" * 1500) for i in range(600))

    def script(conn):
        while True:
            r = conn.head()
            if not r:
                return
            if r.target == "/large":
                for _ in range(15):
                    conn.send("HTTP/1.1 103 Early Hints\r\n" + lines + "\r\n")
                conn.send("HTTP/1.1 200 OK\r\n" + lines + "Content-Length: 2\r\n\r\nok")
            else:
                conn.send(reply())
    g = gateway(config(origin(script=script),
                       gateway='limits: { head = "1MiB"; headers = 1000; response_head = "1MiB"; };'))
    with g.client(rcvbuf=4096, timeout=60) as c:
        c.send("GET /large HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n")
        time.sleep(0.5)
        ok_again(g)
        r = c.response()
        assert r.status == 200 and r.body == b"ok" and len(r.headers) >= 600


def test_request_without_its_body_is_asked_again(gateway, origin):
    """A target that says 503 again and again while the client has sent only the head: what it sends
    in the end, at once, is not more than was asked for."""
    count = []

    def script(conn):
        r = conn.head()
        if not r:
            return
        count.append(1)
        if len(count) < 5:
            conn.send(reply(503))
            conn.at_end()
            return
        conn.body_of(r)
        conn.send(reply(200, hashlib.sha256(r.body).hexdigest().encode()))
    o = [origin(script=script) for _ in range(2)]
    g = gateway(config(upstreams='o: { targets = [ "%s", "%s" ]; retry: { attempts = 5; on = [ "connect", "503" ]; }; };'
                       % (o[0].target, o[1].target), routes='{ match = "* /*"; to = "o"; }'))
    body = random.Random(2).randbytes(2 * MB)
    with g.client() as c:
        c.send("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body))
        time.sleep(0.12)
        c.send(body)
        r = c.response()
        assert r.status == 503 or r.body.decode() == hashlib.sha256(body).hexdigest()
    assert len(count) > 2


def test_answer_survives_half_close(gateway, origin):
    """Many pipelined requests, then FIN, then a client that reads late: every answer arrives whole."""
    page = b"p" * 3000
    g = gateway(config(origin(lambda r: reply(200, page))))
    n = 2500
    with g.client(rcvbuf=4096, timeout=60) as c:
        threading.Thread(target=lambda: (c.send(make_request("GET", "/a") * n), c.half_close()), daemon=True).start()
        time.sleep(1)
        for i in range(n):
            assert c.response().body == page, i
        c.expect_end()


def test_answers_of_our_own_to_who_does_not_read(gateway):
    """Answers that need no upstream, and a head that stays incomplete: what is read stays bounded."""
    g = gateway(config(None, gateway=WATCHED, routes='{ match = "* /*"; respond = 503; policies = ( { type = "respond"; status = 200; body = "%s"; } ); }' % ("x" * 2000)))
    req = make_request("GET", "/a" * 100)
    pid = g.workers()[0]
    before = memory(pid)
    with g.client(rcvbuf=4096, timeout=60) as c:
        sent = push(c, req * 40000, 1.0)
        assert memory(pid) - before < (64 if SANITIZED else 4) * MB
        whole, part = divmod(sent, len(req))
        threading.Thread(target=lambda: c.send((req * 2)[part:2 * len(req)] if part else b""), daemon=True).start()
        n = whole + (2 if part else 0)
        for i in range(n):
            assert c.response().status == 200, i


def test_end_of_a_tunnel(gateway, origin):
    """The origin says goodbye first and reads the rest slowly: all that the client sent arrives."""
    size = 4 * MB
    got = []
    go = threading.Event()

    def script(conn):
        if not conn.head():
            return
        conn.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nbye")
        conn.half_close()
        go.wait(20)
        h, n = hashlib.sha256(), 0
        while True:
            part = conn.sock.recv(65536)
            if not part:
                break
            h.update(part)
            n += len(part)
        got.append((n, h.hexdigest()))
    g = gateway(config(origin(script=script, rcvbuf=4096)))
    data = random.Random(3).randbytes(size)
    with g.client(timeout=60) as c:
        c.request("GET", "/t", {"Connection": "upgrade", "Upgrade": "x"})
        assert c.response().status == 101
        c.read_exact(3)

        def send():
            c.send(data)
            c.half_close()
        t = threading.Thread(target=send, daemon=True)
        t.start()
        time.sleep(0.5)
        go.set()
        wait_for(lambda: got, "the end at the origin")
    assert got[0] == (size, hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("size", [1000, 300_000, 2 * MB])
def test_more_than_was_announced(gateway, origin, size):
    """Bytes behind a response are never the answer to somebody else's request."""
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"

    def script(conn):
        while True:
            r = conn.request()
            if not r:
                return
            if r.target == "/first":
                conn.send(reply(200, b"x" * size) + evil)
            else:
                conn.send(reply(200, b"good"))
    g = gateway(config(origin(script=script)))
    with g.client() as c, g.client() as d:
        for _ in range(30):
            assert len(c.get("/first").body) == size
            assert d.get("/second").body == b"good"


def test_refused_upload_that_goes_on(gateway, origin):
    """The origin answers early and closes; the client, still sending, is not kept waiting for a timeout."""
    def script(conn):
        r = conn.head()
        if not r:
            return
        conn.read_exact(100_000)
        conn.send(reply(413, b"no", {"Connection": "close"} if r.target == "/close" else {}))
        if r.target == "/reset":
            conn.reset()
    g = gateway(config(origin(script=script)))
    for target in ("/close", "/reset", "/end"):
        began = time.monotonic()
        with g.client() as c:
            c.send("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (target, 50 * MB))

            def send():
                try:
                    for _ in range(50):
                        c.send(b"z" * MB)
                except OSError:
                    pass
            t = threading.Thread(target=send, daemon=True)
            t.start()
            assert c.response().status in (413, 502)
            t.join(20)
            assert not t.is_alive(), target
        assert time.monotonic() - began < 15, target


def test_long_bodies_both_ways_at_once(gateway, origin):
    """An origin that answers while it still reads: both bodies are long and of known length."""
    size = 8 * MB
    data = random.Random(4).randbytes(size)

    def script(conn):
        while True:
            r = conn.head()
            if not r:
                return
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            t = threading.Thread(target=lambda: conn.send(data[:size // 2]), daemon=True)
            t.start()
            conn.body_of(r)
            assert r.body == data
            t.join()
            conn.send(data[size // 2:])
    g = gateway(config(origin(script=script)))
    with g.client(timeout=60) as c:
        for _ in range(3):
            t = threading.Thread(target=lambda: c.send(make_request("POST", "/both", body=data)), daemon=True)
            t.start()
            assert c.response().body == data
            t.join()


def test_idle_after_a_long_answer_while_draining(gateway, origin):
    """An answer that had begun before QUIT could not say that it was the last: its connection does not hold up the end."""
    go = threading.Event()

    def script(conn):
        if conn.head():
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
            go.wait(20)
            conn.send("cd")
            conn.at_end()
    g = gateway(config(origin(script=script), gateway='drain = "60s"; '))
    with g.client() as c:
        c.request("GET", "/")
        c.read_until(b"ab")
        g.signal(signal.SIGQUIT)
        g.wait_log("finishing what is under way")
        time.sleep(0.3)
        go.set()
        assert c.read_exact(2) == b"cd"
        began = time.monotonic()
        c.expect_end()
        assert g.wait_exit() == 0
        assert time.monotonic() - began < 8
    g.expect_exit = True
