"""Ten thousand idle connections: held, cheap, and nobody notices."""
import socket

import pytest

from harness import SANITIZED, WATCHED, Origin, config, memory, wait_for

N = 10000
HEAD = b"GET /own HTTP/1.1\r\nHost: test.example\r\n\r\n"


@pytest.mark.slow
def test_ten_thousand(gateway, origin):
    o = origin()
    g = gateway(config(o, workers=2, gateway=WATCHED + 'timeouts: { idle = "10m"; head = "10m"; };',
                       routes='{ match = "GET /own"; respond = 204; }, { match = "* /*"; to = "origin"; }'))
    for _ in range(20):
        assert g.get("/own").status == 204
        assert g.get("/a").status == 200
    pids = g.workers()
    base = sum(memory(p) for p in pids)
    socks = []
    try:
        for i in range(N):
            s = socket.socket()
            s.settimeout(60)
            s.connect(("127.0.0.1", g.port))
            s.sendall(HEAD)
            socks.append(s)
        for s in socks:
            got = s.recv(4096)
            assert got.startswith(b"HTTP/1.1 204 "), got
        # Each has been used once and is now idle.
        each = (sum(memory(p) for p in pids) - base) / N
        print("%.0f bytes for each idle connection" % each)
        if not SANITIZED:
            assert each < 800, "%.0f bytes for each idle connection" % each
        for _ in range(50):
            assert g.get("/a").status == 200
        for s in socks[::100] + socks[-3:]:
            s.sendall(HEAD)
        for s in socks[::100] + socks[-3:]:
            assert s.recv(4096).startswith(b"HTTP/1.1 204 ")
        wait_for(lambda: N <= g.stat()["gauges"]["connections"] <= N + 1, "%d connections in postern stat" % N)
    finally:
        for s in socks:
            s.close()
    # What they took is given back, or at least used again.
    wait_for(lambda: g.get("/a").status == 200, "an answer")


@pytest.mark.slow
def test_more_than_there_are_descriptors(gateway, origin):
    """With few descriptors, connections beyond them wait or are refused; those there are go on, and the gateway recovers."""
    o = origin()
    g = gateway(config(o, gateway="max_files = 256;", routes='{ match = "GET /own"; respond = 204; }, { match = "* /*"; to = "origin"; }'))
    with g.client() as first:
        assert first.get("/own").status == 204
        socks = []
        for _ in range(400):
            s = socket.socket()
            s.settimeout(5)
            try:
                s.connect(("127.0.0.1", g.port))
            except OSError:
                s.close()
                continue
            socks.append(s)
        assert first.get("/own").status == 204
        for s in socks:
            s.close()
        assert first.get("/own").status == 204

    def works():
        try:
            return g.get("/a").status == 200
        except OSError:
            return False
    wait_for(works, "service after the flood")
