"""Bodies stream: constant memory for 1 GB either way, and nobody is read faster than the other side takes it."""
import socket
import threading
import time

import pytest

from harness import (SANITIZED, WATCHED, CLOSE, Client, Origin, assert_problem, chunked, config, make_request, memory, reply,
                     wait_for)

GB = 1 << 30
PIECE = bytes(range(256)) * 4096        # 1 MiB
GROWTH = (64 << 20) if SANITIZED else (4 << 20)


class Watch:
    """The most memory that the workers took beyond what they had at the beginning."""

    def __init__(self, g):
        self.pids = g.workers()
        self.base = self.now()
        self.most = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def now(self):
        return sum(memory(p) for p in self.pids)

    def run(self):
        while not self.stop.wait(0.05):
            self.most = max(self.most, self.now() - self.base)

    def end(self):
        self.stop.set()
        self.thread.join()
        return max(self.most, self.now() - self.base)


def warm(g):
    for _ in range(3):
        assert g.get("/warm").status == 200


def drain(c, n):
    """Reads n bytes of the body; every MiB must be PIECE."""
    buf = bytearray(len(PIECE))
    view = memoryview(buf)
    have = len(c.buf)
    buf[:have] = c.buf
    c.buf = b""
    left = n
    while left:
        want = min(len(PIECE), left)
        while have < want:
            got = c.sock.recv_into(view[have:want])
            assert got, "the body ended %d bytes early" % (left - have)
            have += got
        assert buf[:want] == PIECE[:want], "the body is not what was sent"
        left -= want
        have = 0


@pytest.mark.slow
def test_download_1gb(gateway, origin):
    def script(conn):
        while True:
            r = conn.request()
            if r is None:
                return
            if r.target != "/big":
                conn.send(reply())
                continue
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % GB)
            for _ in range(GB // len(PIECE)):
                conn.send(PIECE)
    o = origin(script=script)
    g = gateway(config(o, gateway=WATCHED))
    warm(g)
    w = Watch(g)
    with g.client() as c:
        c.request("GET", "/big")
        r = c.head()
        assert r.status == 200 and r.get("content-length") == str(GB)
        drain(c, GB)
        assert w.end() < GROWTH
        assert c.get("/again").body == b"ok"


@pytest.mark.slow
def test_upload_1gb(gateway, origin):
    def script(conn):
        while True:
            r = conn.head()
            if r is None:
                return
            if r.target == "/big":
                assert r.get("content-length") == str(GB)
                drain(conn, GB)
            conn.send(reply())
    o = origin(script=script)
    g = gateway(config(o, gateway=WATCHED))
    warm(g)
    w = Watch(g)
    with g.client() as c:
        c.send(make_request("POST", "/big", [("Content-Length", str(GB))]))
        for _ in range(GB // len(PIECE)):
            c.send(PIECE)
        assert c.response().body == b"ok"
        assert w.end() < GROWTH
        assert c.get("/again").body == b"ok"


@pytest.mark.slow
def test_chunked_both_ways(gateway, origin):
    """256 MB of chunks each way at the same time."""
    n = 256
    piece = b"100000\r\n" + PIECE + b"\r\n"

    def script(conn):
        while True:
            r = conn.head()
            if r is None:
                return
            if r.target != "/big":
                conn.send(reply())
                continue
            conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

            def send():
                for _ in range(n):
                    conn.send(piece)
                conn.send(b"0\r\n\r\n")
            t = threading.Thread(target=send)
            t.start()
            total = 0
            while True:
                size = int(conn.read_until(b"\r\n"), 16)
                if not size:
                    assert conn.read_exact(2) == b"\r\n"
                    break
                total += len(conn.read_exact(size))
                assert conn.read_exact(2) == b"\r\n"
            assert total == n * len(PIECE)
            t.join()
    o = origin(script=script)
    g = gateway(config(o, gateway=WATCHED))
    warm(g)
    w = Watch(g)
    with g.client() as c:
        c.send(make_request("POST", "/big", [("Transfer-Encoding", "chunked")]))

        def send():
            for _ in range(n):
                c.send(piece)
            c.send(b"0\r\n\r\n")
        t = threading.Thread(target=send)
        t.start()
        assert c.head().status == 200
        total = 0
        while True:
            size = int(c.read_until(b"\r\n"), 16)
            if not size:
                assert c.read_exact(2) == b"\r\n"
                break
            total += len(c.read_exact(size))
            assert c.read_exact(2) == b"\r\n"
        t.join()
        assert total == n * len(PIECE)
        assert w.end() < GROWTH
        assert c.get("/again").body == b"ok"


def stalls(counter, limit):
    """Waits until the counter stands still, and says where."""
    last, since = counter[0], time.monotonic()
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(0.05)
        if counter[0] != last:
            last, since = counter[0], time.monotonic()
        elif time.monotonic() - since > 0.7:
            return last
        assert last < limit, "never stopped: %d bytes" % last
    raise AssertionError("never stood still: %d" % last)


def test_slow_reader_stops_the_origin(gateway, origin):
    total = 512 << 20
    sent = [0]

    def script(conn):
        r = conn.request()
        if r.target == "/warm":
            while r:
                conn.send(reply())
                r = conn.request()
                if r and r.target == "/big":
                    break
        if r is None:
            return
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        for _ in range(total // 65536):
            conn.send(PIECE[:65536])
            sent[0] += 65536
    o = origin(script=script)
    g = gateway(config(o, gateway=WATCHED))
    warm(g)
    w = Watch(g)
    with g.client(rcvbuf=65536) as c:
        c.request("GET", "/big")
        assert c.head().status == 200
        wait_for(lambda: sent[0] > 0, "the first bytes")
        at = stalls(sent, 64 << 20)
        assert w.end() < GROWTH
        c.read_exact(32 << 20)          # it goes on when the client reads
        wait_for(lambda: sent[0] > at, "the origin going on")
        # Others are served meanwhile.
        with g.client() as d:
            d.request("GET", "/warm")
            assert d.response().body == b"ok"


def test_slow_origin_stops_the_client(gateway, origin):
    total = 512 << 20
    go = threading.Event()

    def script(conn):
        r = conn.head()
        while r and r.target == "/warm":
            conn.send(reply())
            r = conn.head()
        if r is None:
            return
        go.wait(60)
        conn.read_exact(total)
        conn.send(reply(200, b"all"))
    o = origin(script=script, rcvbuf=65536)
    g = gateway(config(o, gateway=WATCHED))
    warm(g)
    w = Watch(g)
    sent = [0]
    with g.client() as c:
        c.send(make_request("POST", "/big", [("Content-Length", str(total))]))

        def send():
            for _ in range(total // 65536):
                c.send(PIECE[:65536])
                sent[0] += 65536
        t = threading.Thread(target=send, daemon=True)
        t.start()
        stalls(sent, 64 << 20)
        assert w.end() < GROWTH
        go.set()
        assert c.response().body == b"all"
        t.join()


def test_head_comes_before_the_body(gateway, origin):
    """Nothing waits for the end of a body: head and pieces come as they are sent, both ways."""
    go = [threading.Event() for _ in range(3)]

    def script(conn):
        r = conn.head()
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            size = int(conn.read_until(b"\r\n"), 16)
            data = conn.read_exact(size + 2)
            if not size:
                conn.send(b"0\r\n\r\n")
                return
            conn.send(b"%x\r\n" % size + data)
    o = origin(script=script)
    g = gateway(config(o))
    with g.client() as c:
        c.send(make_request("POST", "/", [("Transfer-Encoding", "chunked")]))
        assert c.head().status == 200
        for word in (b"one", b"two", b"three"):
            c.send(b"%x\r\n" % len(word) + word + b"\r\n")
            assert c.read_until(b"\r\n") == b"%x\r\n" % len(word)
            assert c.read_exact(len(word) + 2) == word + b"\r\n"
        c.send(b"0\r\n\r\n")
        assert c.read_exact(5) == b"0\r\n\r\n"


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 16383, 16384, 65535, 65536, 65537, 131072, 262143, 262144, 262145, 1000003])
def test_sizes(gateway, origin, size):
    """Edges of buffers: every size, both framings, both ways, on one connection."""
    data = (PIECE * (size // len(PIECE) + 1))[:size]

    def answer(r):
        assert r.body == data
        if r.target == "/chunked":
            return reply(200, chunked(data[:size // 3], data[size // 3:]), [("Transfer-Encoding", "chunked")], length=False)
        return reply(200, data)
    o = origin(answer)
    g = gateway(config(o))
    with g.client() as c:
        for target in ("/length", "/chunked"):
            for coding in (False, True):
                if coding:
                    body = make_request("POST", target, [("Transfer-Encoding", "chunked")], chunked(data[:size // 2], data[size // 2:]))
                else:
                    body = make_request("POST", target, body=data)
                t = threading.Thread(target=c.send, args=(body,))
                t.start()
                r = c.response()
                t.join()
                assert r.status == 200 and r.body == data, (target, coding, len(r.body))


def test_body_in_drops(gateway, origin):
    """A body of 300 bytes in 300 pieces, chunked and plain."""
    o = origin(lambda r: reply(200, r.body))
    g = gateway(config(o))
    data = PIECE[:300]
    with g.client() as c:
        for request in (make_request("POST", "/", body=data), make_request("POST", "/", [("Transfer-Encoding", "chunked")], chunked(data[:7], data[7:]))):
            for i in range(len(request)):
                c.send(request[i:i + 1])
            assert c.response().body == data


def test_many_at_once(gateway, origin):
    """Forty bodies of 2 MB through one worker, each whole."""
    o = origin(lambda r: reply(200, r.body))
    g = gateway(config(o))
    bad = []

    def one(n):
        data = bytes([n]) * (2 << 20)
        try:
            with g.client() as c:
                t = threading.Thread(target=c.send, args=(make_request("POST", "/", body=data),))
                t.start()
                r = c.response()
                t.join()
                if r.status != 200 or r.body != data:
                    bad.append((n, r.status, len(r.body)))
        except Exception as e:
            bad.append((n, e))
    threads = [threading.Thread(target=one, args=(n,)) for n in range(40)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not bad, bad
