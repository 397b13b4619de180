"""Everything at once: good clients get their answers whatever the bad ones, the origins and the operator do."""
import os
import random
import threading
import time

import pytest

from harness import CLOSE, SANITIZED, Client, Origin, chunked, config, make_request, reply, wait_for

UPGRADE = [("Connection", "upgrade"), ("Upgrade", "chaos")]


def answer(r):
    """By the first word of the path."""
    kind = r.target.split("/")[1]
    if kind == "echo":
        return reply(200, r.body) if len(r.body) % 2 else reply(200, chunked(r.body[:7], r.body[7:]), [("Transfer-Encoding", "chunked")], length=False)
    if kind == "close":
        return (reply(200, b"bye", length=False), CLOSE)
    if kind == "cut":
        return (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 70000, CLOSE)
    if kind == "garbage":
        return (random.choice([b"\x00" * 100, b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n", b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n"]), CLOSE)
    if kind == "dead":
        return None
    if kind == "slow":
        time.sleep(0.05)
    return reply(200, b"x" * 200000 if kind == "big" else b"ok")


class Crowd:
    def __init__(self, g, seconds):
        self.g, self.end = g, time.monotonic() + seconds
        self.good, self.wrong = 0, []

    def polite(self, seed):
        """Its answers must be right."""
        rnd = random.Random(seed)
        while time.monotonic() < self.end and not self.wrong:
            try:
                with self.g.client() as c:
                    for _ in range(rnd.randrange(1, 30)):
                        body = bytes([rnd.randrange(256)]) * rnd.choice([0, 1, 10, 5000, 70000, 300001])
                        if rnd.random() < 0.5:
                            request = make_request("PUT", "/echo/%d" % len(body), body=body)
                        else:
                            cut = rnd.randrange(len(body) + 1)
                            request = make_request("PUT", "/echo/%d" % len(body), [("Transfer-Encoding", "chunked")], chunked(body[:cut], body[cut:]))
                        t = threading.Thread(target=c.send, args=(request,), daemon=True)
                        t.start()
                        r = c.response()
                        t.join()
                        if r.status != 200 or r.body != body:
                            raise AssertionError("%r for %d bytes" % (r, len(body)))
                        self.good += 1
            except Exception as e:
                self.wrong.append(repr(e)[:500])

    def rude(self, seed):
        """Does as it likes; no answer is expected."""
        rnd = random.Random(seed)
        while time.monotonic() < self.end:
            try:
                with self.g.client(rcvbuf=rnd.choice([None, 4096])) as c:
                    for _ in range(rnd.randrange(1, 6)):
                        self.act(c, rnd)
                    if rnd.random() < 0.4:
                        c.reset()
                    elif rnd.random() < 0.3:
                        c.half_close()
                        c.sock.settimeout(1)
                        c.at_end()
            except (OSError, Exception):
                pass

    def act(self, c, rnd):
        kind = rnd.choice(["close", "cut", "garbage", "dead", "slow", "big", "x", "none"])
        what = rnd.randrange(9)
        if what == 0:
            c.send(os.urandom(rnd.randrange(1, 3000)))
        elif what == 1:
            c.send(make_request("GET", "/%s" % kind) * rnd.randrange(1, 20))
        elif what == 2:
            c.send(make_request("POST", "/%s" % kind, [("Content-Length", "100000")]) + b"x" * rnd.randrange(100001))
        elif what == 3:
            c.send(make_request("POST", "/%s" % kind, [("Transfer-Encoding", "chunked")]) + rnd.choice([b"5\r\nhel", b"zz\r\n", chunked(b"abc"), b"ffff\r\n" + b"x" * 60000]))
        elif what == 4:
            request = make_request("GET", "/%s" % kind)
            c.send(request[:rnd.randrange(len(request))])
        elif what == 5:
            c.send(make_request("GET", "/tunnel", UPGRADE) + os.urandom(rnd.randrange(2000)))
        elif what == 6:
            c.send(make_request("POST", "/big", [("Expect", "100-continue"), ("Content-Length", "9")]))
        elif what == 7:
            request = bytearray(make_request("POST", "/echo", body=b"hello"))
            request[rnd.randrange(len(request))] = rnd.randrange(256)
            c.send(bytes(request))
        c.sock.settimeout(0.2)
        if rnd.random() < 0.7:
            c.fill()


@pytest.mark.slow
def test_everything_at_once(gateway, origin):
    def tunnel(conn):
        r = conn.head()
        if r is None:
            return
        conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chaos\r\n\r\n")
        while conn.fill():
            conn.send(conn.buf)
            conn.buf = b""
    o, t = origin(answer), origin(script=tunnel)

    def conf(n):
        return config(o, workers=2, upstreams='tunnel: { targets = [ "%s" ]; };' % t.target,
                      gateway='timeouts: { head = "1s"; body = "10s"; idle = "2s"; send = "2s"; tunnel = "1s"; linger = "500ms"; }; '
                              'policies = ( { type = "access-log"; path = "@DIR@/access.log"; }, { type = "request-id"; } );',
                      routes='{ match = "* /none"; respond = { status = 200; body = "%d"; }; }, { match = "* /tunnel"; to = "tunnel"; }, { match = "* /*"; to = "origin"; }' % n)
    g = gateway(conf(0))
    crowd = Crowd(g, 8 if SANITIZED else 6)
    seed = random.randrange(1 << 30)
    print("seed", seed)
    threads = [threading.Thread(target=crowd.polite, args=(seed + i,), daemon=True) for i in range(3)]
    threads += [threading.Thread(target=crowd.rude, args=(seed + 100 + i,), daemon=True) for i in range(8)]
    for th in threads:
        th.start()
    n = 0
    while time.monotonic() < crowd.end:
        n += 1
        assert "REJECTED" not in g.reload(conf(n))
        time.sleep(0.2)
    for th in threads:
        th.join(60)
    assert not crowd.wrong, crowd.wrong[:3]
    assert crowd.good > 20
    assert g.get("/none").body == b"%d" % n
    # Nothing is left over: exchanges, connections, tunnels.
    wait_for(lambda: (lambda x: x["exchanges"] == 0 and x["connections"] <= 1)(g.stat()["gauges"]), "nothing under way", timeout=60)
    wait_for(lambda: not t.open_conns(), "the end of all tunnels")
    with open(g.path("access.log"), errors="surrogateescape") as f:
        import json
        for line in f:
            json.loads(line)
