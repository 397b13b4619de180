"""Slow clients cost no buffers and nobody else's time."""
import threading
import time

import pytest

from harness import SANITIZED, WATCHED, Origin, config, memory, wait_for


@pytest.mark.slow
def test_slow_heads(gateway, origin):
    """A thousand clients that send a header line now and then: others are served, memory stays small, and all of them are
    cut at the head timeout although they make progress."""
    o = origin()
    g = gateway(config(o, gateway=WATCHED + 'timeouts: { head = "4s"; };'))
    for _ in range(3):
        assert g.get("/").status == 200
    pids = g.workers()
    base = sum(memory(p) for p in pids)
    clients = [g.client() for _ in range(1000)]
    began = time.monotonic()
    for c in clients:
        c.send(b"GET / HTTP/1.1\r\nHost: test.example\r\n")
    ends = [0]
    while time.monotonic() - began < 2:
        for c in clients:
            try:
                c.send(b"X-A: b\r\n")
            except ConnectionError:
                ends[0] += 1
        assert g.get("/served").status == 200
        time.sleep(0.1)                 # far fewer lines than the limit
    grown = sum(memory(p) for p in pids) - base
    if not SANITIZED:
        assert grown < 1000 * 2600, "%d bytes for each slow head" % (grown // 1000)
    for c in clients:
        try:
            c.send(b"X-Z: y\r\n")
        except ConnectionError:
            pass
    for c in clients:
        got = c.at_end()
        assert got == b"" or got.startswith(b"HTTP/1.1 408 "), got
        c.close()
    assert all(q.target in ("/", "/served") for q in o.requests)
    assert len([q for q in o.requests if q.target == "/"]) == 3


def test_slow_bodies(gateway, origin):
    """Bodies that make no progress are cut; that of one who goes on is not."""
    o = origin(lambda r: reply_len(r))
    g = gateway(config(o, gateway='timeouts: { body = "1s"; };'))
    slow = [g.client() for _ in range(100)]
    for c in slow:
        c.send(b"POST /slow HTTP/1.1\r\nHost: test.example\r\nContent-Length: 100\r\n\r\nx")
    with g.client() as good:
        good.send(b"POST /good HTTP/1.1\r\nHost: test.example\r\nContent-Length: 20\r\n\r\n")
        for _ in range(20):
            good.send(b"x")
            time.sleep(0.1)
        assert good.response().body == b"20"
    for c in slow:
        got = c.at_end()
        assert got.startswith(b"HTTP/1.1 408 "), got
        c.close()
    assert [q.target for q in o.requests] == ["/good"]


def reply_len(r):
    from harness import reply
    return reply(200, b"%d" % len(r.body))


def test_slow_readers(gateway, origin):
    """A hundred clients that take nothing of 1 MB each: what is held for each is bounded, others are served."""
    from harness import reply
    o = origin(lambda r: reply(200, b"x" * (1 << 20) if r.target == "/big" else b"ok"))
    g = gateway(config(o, gateway=WATCHED))
    for _ in range(3):
        assert g.get("/").status == 200
    pids = g.workers()
    base = sum(memory(p) for p in pids)
    clients = [g.client(rcvbuf=4096) for _ in range(100)]
    for c in clients:
        c.request("GET", "/big")
    for c in clients:
        assert c.head().status == 200
    assert g.get("/").body == b"ok"
    grown = sum(memory(p) for p in pids) - base
    if not SANITIZED:
        assert grown < 100 * 400000, "%d bytes held for each slow reader" % (grown // 100)
    for c in clients:
        c.close()
    wait_for(lambda: g.get("/").status == 200, "an answer")
