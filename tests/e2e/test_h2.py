"""HTTP/2 as clients and origins see it: translation both ways, flow control by stream, WebSocket, drain, floods.

Streams to the upstream by HTTP/2 go through the gateway itself once more ("/h2/…")."""
import re
import shutil
import signal
import struct
import subprocess
import threading
import time

import pytest

from h2raw import (ACK, CANCEL, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, PING, PRIORITY, RST_STREAM,
                   SETTINGS, WINDOW_UPDATE, CONTINUATION, Peer, frame, plain, pseudo, settings)
from harness import DEADLINE, SANITIZED, chunked, config, memory, reply, wait_for

H2 = 'http = [ "h2", "1.1" ];'
SELF = 'self: { targets = [ "http://127.0.0.1:@PORT@" ]; http = "h2"; };'
ROUTES = '{ match = "* /h2/*"; to = "self"; rewrite = "/{*}"; }, { match = "* /*"; to = "origin"; }'


def both(o, **kw):
    return config(o, listener=H2, upstreams=SELF, routes=ROUTES, **kw)


def curl(g, path, *args, http="--http2-prior-knowledge", input=None):
    p = subprocess.run(["curl", "-sS", "-m", "20", http, "-w", "\n%{http_version} %{http_code}", *args, "http://127.0.0.1:%d%s" % (g.port, path)],
                       input=input, capture_output=True, timeout=60)
    assert p.returncode == 0, p.stderr
    body, _, last = p.stdout.rpartition(b"\n")
    return (body, *last.decode().split())


def big(r):
    """/N: N bytes; POST: how many came."""
    if r.method == "POST":
        return reply(200, b"%d" % len(r.body))
    n = int(re.search(r"\d+", r.target).group() if re.search(r"\d+", r.target) else 3)
    return reply(200, b"0123456789" * (n // 10) + b"x" * (n % 10))


# ---- real clients

@pytest.mark.parametrize("path", ["", "/h2"])
def test_curl(gateway, origin, path):
    o = origin(big)
    g = gateway(both(o))
    for n in (0, 1, 16384, 65536, 1000003):
        assert curl(g, "%s/%d" % (path, n)) == ((b"0123456789" * (n // 10) + b"x" * (n % 10)), "2", "200")
    for n in (0, 10, 100000, 3000000):
        assert curl(g, path + "/", "--data-binary", "@-", input=b"y" * n)[0] == b"%d" % n
        assert curl(g, path + "/", "-X", "POST", "-T", "-", input=b"y" * n)[0] == b"%d" % n
    assert curl(g, path + "/5", http="--http1.1") == (b"xxxxx", "1.1", "200")


@pytest.mark.skipif(not shutil.which("h2load"), reason="no h2load")
@pytest.mark.parametrize("path", ["/100", "/20000", "/h2/100"])
def test_h2load(gateway, origin, path):
    o = origin(big)
    g = gateway(both(o))
    out = subprocess.run(["h2load", "-n", "600", "-c", "4", "-m", "20", "http://127.0.0.1:%d%s" % (g.port, path)],
                         capture_output=True, text=True, timeout=120).stdout
    assert "600 succeeded, 0 failed, 0 errored, 0 timeout" in out, out


def test_many_at_once_over_one_connection(gateway, origin):
    o = origin(big)
    g = gateway(both(o))
    with Peer(g.port) as c:
        c.frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 20))
        for i in range(100):
            c.head(1 + 2 * i, path="/h2/%d" % (1000 + i))
        for i in range(100):
            assert len(c.answer(1 + 2 * i).body) == 1000 + i
    assert len(o.requests) == 100


# ---- translation

def test_what_the_origin_gets(gateway, origin):
    o = origin()
    g = gateway(both(o))
    with Peer(g.port) as c:
        c.head(1, [("x-own", "1"), ("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers"), ("priority", "u=1")], path="/a?b=c",
               authority="api.example:8080")
        assert c.answer(1).status == 200
        c.head(3, [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")], path="/h2/d")
        assert c.answer(3).status == 200
    r = o.requests[0]
    assert (r.method, r.target, r.get("host")) == ("GET", "/a?b=c", "api.example:8080")
    assert r.all("cookie") == ["a=1; b=2"] and r.get("x-own") == "1"
    assert not r.has("te") and not r.has("transfer-encoding") and not r.has("connection")
    assert not [n for n in r.names() if n.startswith(":")]
    assert o.requests[1].all("cookie") == ["a=1; b=2"] and o.requests[1].get("x") == "y"


def test_what_the_client_gets(gateway, origin):
    o = origin(lambda r: reply(200, b"hello", [("X-Mixed", "Case"), ("Connection", "x-hop"), ("X-Hop", "1"), ("Keep-Alive", "5"),
                                               ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]))
    g = gateway(both(o))
    with Peer(g.port) as c:
        for i, path in enumerate(("/", "/h2/")):
            a = c.get(1 + 2 * i, path)
            names = [k for k, _ in a.headers]
            assert a.body == b"hello" and a.get("content-length") == "5" and a.get("x-mixed") == "Case"
            assert [v for k, v in a.headers if k == "set-cookie"] == ["a=1", "b=2"]
            assert not {"connection", "keep-alive", "x-hop", "transfer-encoding"} & set(names) and names == [n.lower() for n in names]
            assert a.get("date")


@pytest.mark.parametrize("path", ["/", "/h2/"])
def test_trailers(gateway, origin, path):
    o = origin(lambda r: reply(200, chunked(b"hello", trailers=[(b"X-Sum", b"1")]), [("Transfer-Encoding", "chunked"), ("Trailer", "X-Sum")],
                               length=False))
    g = gateway(both(o))
    with Peer(g.port) as c:
        c.head(1, [("te", "trailers")], path=path, method="POST", end=False)
        c.frame(DATA, 0, 1, b"question")
        c.frame(HEADERS, END_STREAM | END_HEADERS, 1, plain([("x-check", "2")]))
        a = c.answer(1)
        assert a.body == b"hello" and a.trailers == [("x-sum", "1")]
    assert o.requests[0].body == b"question" and o.requests[0].trailers[0][1] == "2"


def test_heads_and_statuses_without_a_body(gateway, origin):
    o = origin(lambda r: reply(int(r.target.strip("/")), b"" if r.target in ("/204", "/304") else b"hello",
                               length=r.target not in ("/204", "/304")))
    g = gateway(both(o))
    with Peer(g.port) as c:
        a = c.get(1, "/200", method="HEAD")
        assert a.status == 200 and a.body == b"" and a.get("content-length") == "5"
        for i, s in enumerate((204, 304, 404)):
            a = c.get(3 + 2 * i, "/h2/%d" % s)
            assert a.status == s and a.body == (b"hello" if s == 404 else b"")


def test_interim_responses(gateway, origin):
    def script(conn):
        r = conn.request()
        while r:
            conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + reply(200, b"done"))
            r = conn.request()
    g = gateway(both(origin(script=script)))
    with Peer(g.port) as c:
        for i, path in enumerate(("/", "/h2/")):
            a = c.get(1 + 2 * i, path)
            assert a.interim == [103] and a.status == 200 and a.body == b"done"


def test_answers_of_the_gateway(gateway, origin):
    g = gateway(config(origin(), listener=H2, routes='{ match = "GET /a"; to = "origin"; }', gateway='limits: { body = "1KiB"; head = "4KiB"; };'))
    with Peer(g.port) as c:
        a = c.get(1, "/none")
        assert a.status == 404 and a.get("content-type") == "application/problem+json" and b"no_route" in a.body
        c.head(3, [("content-length", "2000")], path="/a", end=False)
        assert c.answer(3).status == 413
        c.head(5, [("x", "y" * 5000)], path="/a")
        assert c.answer(5).status == 431
        c.head(7, method="CONNECT", more=plain([(":method", "CONNECT"), (":authority", "a.example:443")]))
        assert c.answer(7).status in (403, 404, 405)
        assert c.get(9, "/a").status == 200


def test_no_second_request_is_smuggled(gateway, origin):
    """A body that looks like a request, with a length that lies."""
    evil = b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n"
    o = origin()
    g = gateway(both(o))
    with Peer(g.port) as c:
        c.head(1, [("content-length", "0")], method="POST", end=False)
        c.frame(DATA, END_STREAM, 1, evil)
        c.answer(1)
        c.head(3, [("content-length", "5")], method="POST", end=False)
        c.frame(DATA, END_STREAM, 3, b"12345" + evil)
        c.answer(3)
        c.head(5, [("x", "1")], method="POST", end=False)
        c.frame(DATA, END_STREAM, 5, b"0\r\n\r\n" + evil)
        assert c.answer(5).status == 200
        c.get(7, "/good")
    assert not [r for r in o.requests if r.target == "/evil"]
    assert o.requests[-1].target == "/good"
    assert [r.body for r in o.requests if r.has("transfer-encoding")] == [b"0\r\n\r\n" + evil]


# ---- flow control

def test_a_slow_stream_stalls_itself(gateway, origin):
    g = gateway(both(origin(big)))
    with Peer(g.port, ours=[(4, 1000)]) as c:
        c.frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 20))
        c.head(1, path="/500000")
        slow = c.answer_of(1)
        c.until(lambda: len(slow.body) == 1000)
        for i in range(20):
            assert len(c.get(3 + 2 * i, "/900").body) == 900
        assert len(slow.body) == 1000 and slow.reset is None
        c.frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 1 << 20))
        assert len(c.answer(1).body) == 500000


@pytest.mark.parametrize("path", ["/slow", "/h2/slow"])
def test_an_upload_waits_for_the_origin(gateway, origin, path):
    """What the origin does not take, the client may not send; other streams go on."""
    go = threading.Event()

    def script(conn):
        r = conn.head()
        while r:
            if r.target == "/slow":
                go.wait(DEADLINE)
            conn.body_of(r)
            conn.send(reply(200, b"%d" % len(r.body or b"")))
            r = conn.head()
    g = gateway(both(origin(script=script, rcvbuf=4096)))
    with Peer(g.port) as c:
        total, sent = 40 << 20, 0
        c.head(1, [("content-length", str(total))], path=path, method="POST", end=False)
        window, conn, seen = 65535, 65535, 0
        quiet = time.monotonic()
        while time.monotonic() - quiet < 1.0:
            for f in c.frames[seen:]:
                if f.type == WINDOW_UPDATE:
                    n = struct.unpack(">I", f.payload)[0]
                    window, conn = (window + n, conn) if f.id == 1 else (window, conn + n)
            seen = len(c.frames)
            n = min(window, conn, 16384, total - sent)
            if n <= 0:
                c.fill(0.05)
                continue
            c.frame(DATA, 0, 1, b"z" * n)
            sent, window, conn, quiet = sent + n, window - n, conn - n, time.monotonic()
        assert sent < 16 << 20, "nothing holds it back"
        assert c.get(3, "/quick").status == 200
        go.set()
        c.frame(RST_STREAM, 0, 1, struct.pack(">I", CANCEL))


def test_a_client_that_takes_nothing_is_given_up(gateway, origin):
    g = gateway(config(origin(big), listener=H2, gateway='timeouts: { send = "1s"; };'))
    with Peer(g.port, ours=[(4, 0)]) as c:
        c.head(1, path="/100000")
        a = c.answer_of(1)
        c.until(lambda: a.reset is not None)
        assert a.reset == CANCEL and a.body == b""
        c.frame(SETTINGS, 0, 0, settings((4, 65535)))
        assert c.get(3, "/5").body == b"xxxxx"


# ---- both ends may leave

def test_a_cancelled_stream_cancels_its_origin(gateway, origin):
    gone = threading.Event()

    def script(conn):
        if conn.request() and conn.gone():
            gone.set()
    o = origin(script=script)
    g = gateway(both(o))
    for n, path in enumerate(("/", "/h2/"), 1):
        gone.clear()
        with Peer(g.port) as c:
            c.head(1, path=path)
            wait_for(lambda: len(o.requests) == n, "the request at the origin")
            c.frame(RST_STREAM, 0, 1, struct.pack(">I", CANCEL))
            wait_for(gone.is_set, "the end at the origin")


def test_an_origin_that_breaks_off(gateway, origin):
    def script(conn):
        if conn.request():
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
    g = gateway(both(origin(script=script)))
    with Peer(g.port) as c:
        for i, path in enumerate(("/", "/h2/")):
            a = c.get(1 + 2 * i, path)
            # Behind a second gateway nothing but the reset may have left.
            assert (a.status == 200 and a.reset is not None and not a.ended) or (i and a.status == 502)


# ---- WebSocket (RFC 8441)

def echo(conn):
    r = conn.request()
    if not r:
        return
    assert r.method == "GET" and len(r.get("sec-websocket-key")) == 24 and r.get("sec-websocket-version") == "13"
    conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nSec-WebSocket-Accept: x\r\nX-A: b\r\n\r\n" % r.get("upgrade").encode())
    while conn.buf or conn.fill():
        conn.send(conn.buf)
        conn.buf = b""
    conn.send(b"bye")
    conn.half_close()


@pytest.mark.parametrize("path", ["/chat", "/h2/chat"])
def test_websocket(gateway, origin, path):
    o = origin(script=echo)
    g = gateway(both(o))
    with Peer(g.port) as c:
        assert c.theirs[8] == 1
        c.head(1, end=False, more=plain([(":method", "CONNECT"), (":protocol", "websocket")] + pseudo(path=path)[1:] + [("sec-websocket-version", "13")]))
        a = c.answer_of(1)
        c.until(lambda: a.status)
        assert a.status == 200 and not a.ended and a.get("x-a") == "b"
        assert not a.get("upgrade") and not a.get("connection") and not a.get("sec-websocket-accept")
        for data in (b"hello", b"\0\xff\r\n\r\nGET / HTTP/1.1\r\n\r\n"):
            a.body = b""
            c.frame(DATA, 0, 1, data)
            c.until(lambda: len(a.body) >= len(data))
            assert a.body == data
        c.frame(DATA, END_STREAM, 1, b"")
        assert c.answer(1).body.endswith(b"bye")
    assert o.requests[0].target == "/chat"


def test_websocket_of_h1_over_h2(gateway, origin):
    g = gateway(both(origin(script=echo)))
    with g.client() as c:
        r = c.ask("GET", "/h2/chat", headers=[("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
                                              ("Sec-WebSocket-Version", "13")])
        assert r.status == 101 and r.get("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" and r.get("upgrade") == "websocket"
        c.send(b"hello")
        assert c.read_exact(5) == b"hello"
        c.half_close()
        assert c.read_all() == b"bye"


def test_websocket_refused(gateway, origin):
    g = gateway(both(origin(lambda r: reply(403, b"no"))))
    with Peer(g.port) as c:
        for i, path in enumerate(("/chat", "/h2/chat")):
            c.head(1 + 2 * i, end=False, more=plain([(":method", "CONNECT"), (":protocol", "websocket")] + pseudo(path=path)[1:]))
            a = c.answer(1 + 2 * i)
            assert a.status == 403 and a.body == b"no"


# ---- reload, drain

def test_reloads_leave_connections_alone(gateway, origin):
    g = gateway(both(origin()))
    with Peer(g.port) as c:
        for i in range(4):
            assert c.get(1 + 2 * i, "/h2/").status == 200
            g.reload()
        assert c.get(99).status == 200 and not c.goaway


def test_stopping_ends_in_order(gateway, origin):
    go = threading.Event()

    def script(conn):
        while conn.request():
            go.wait(DEADLINE)
            conn.send(reply(200, b"late"))
    g = gateway(both(origin(script=script)))
    g.expect_exit = True
    with Peer(g.port) as c:
        c.head(1)
        c.ping()
        g.signal(signal.SIGQUIT)
        c.until(lambda: c.goaways, "the first GOAWAY")
        assert c.goaways[0] == (0x7fffffff, 0)
        for f in list(c.frames):
            if f.type == PING and not f.flags & ACK:
                c.frame(PING, ACK, 0, f.payload)
        c.until(lambda: len(c.goaways) > 1, "the final GOAWAY")
        assert c.goaways[1] == (1, 0)
        go.set()
        assert c.answer(1).body == b"late"
        c.until(lambda: c.eof, or_eof=True)
    g.wait_exit()


def test_curl_hears_an_early_answer(gateway, origin):
    """Debian's curl takes RST_STREAM for a failure when it is still sending: it comes late, and only to who goes on."""
    g = gateway(config(origin(), listener=H2, routes='{ match = "* /own"; respond = 403; }', gateway='timeouts: { linger = "300ms"; };'))
    for i in range(15):
        assert curl(g, "/own", "-d", "{}")[1:] == ("2", "403"), i
        assert curl(g, "/own", "--data-binary", "@-", input=b"x" * 200000)[1:] == ("2", "403"), i
    with Peer(g.port) as c:
        c.head(1, method="POST", path="/own", end=False)
        a = c.answer(1)
        assert (a.status, a.ended, a.reset) == (403, True, None)
        c.frame(DATA, 0, 1, b"goes on")
        c.until(lambda: a.reset == 0, "RST_STREAM NO_ERROR")


# ---- floods (CVE-2023-44487, CVE-2024-27316, CVE-2019-9511 and following)

def resets():
    for i in range(20000):
        yield frame(HEADERS, END_STREAM | END_HEADERS, 1 + 2 * i, plain(pseudo())) + frame(RST_STREAM, 0, 1 + 2 * i, b"\0\0\0\x08")


def again(*frames):
    return lambda: (f for _ in range(20000) for f in frames)


def continuations():
    yield frame(HEADERS, END_STREAM, 1, plain(pseudo()))
    for i in range(20000):
        yield frame(CONTINUATION, 0, 1, plain([("x-%d" % i, "y" * 100)]))


def bomb():
    # 4 KB in the table, meant again by every byte that follows.
    for i in range(2000):
        yield frame(HEADERS, END_STREAM | END_HEADERS, 1 + 2 * i, plain(pseudo()) + (b"\x40\x01x\x7f\xa1\x1e" + b"v" * 4000 if not i else b"") + b"\xbe" * 8000)


FLOODS = {
    "rapid reset": resets,
    "settings": again(frame(SETTINGS, 0, 0, settings((3, 100)))),
    "ping": again(frame(PING, 0, 0, b"12345678")),
    "priority": again(frame(PRIORITY, 0, 3, b"\0\0\0\0\x10")),
    "window updates": again(frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\x01")),
    "empty data": lambda: iter([frame(HEADERS, END_HEADERS, 1, plain(pseudo("POST")))] + [frame(DATA, 0, 1)] * 20000),
    "continuation": continuations,
    "header bomb": bomb,
}


@pytest.mark.parametrize("name", FLOODS)
def test_floods(gateway, origin, name):
    """The connection ends with ENHANCE_YOUR_CALM; others notice nothing, and no memory stays."""
    g = gateway(both(origin()))
    with Peer(g.port) as good:
        assert good.get(1).status == 200
        before = memory(g.workers()[0])
        for n in range(3):
            with Peer(g.port) as c:
                data = b""
                for f in FLOODS[name]():
                    data += f
                    if len(data) > 30000:
                        if not c.send(data):
                            break
                        data = b""
                        c.fill(0)
                assert c.gone(ENHANCE_YOUR_CALM, *([11, 2, 1] if name == "continuation" else []))
            assert good.get(3 + 2 * n).status == 200
        grown = memory(g.workers()[0]) - before
    assert SANITIZED or grown < 4 << 20, "%d bytes more" % grown


def test_many_streams_that_take_nothing(gateway, origin):
    """Zero windows: what one connection can make the gateway hold is bounded (16 KiB for each of 128 streams)."""
    g = gateway(config(origin(big), listener=H2, gateway='timeouts: { send = "30s"; };'))
    before = memory(g.workers()[0])
    with Peer(g.port, ours=[(4, 0)]) as c, Peer(g.port) as good:
        for i in range(128):
            c.head(1 + 2 * i, path="/400000")
        c.ping()
        for i in range(20):
            assert good.get(1 + 2 * i, "/100").status == 200
        grown = memory(g.workers()[0]) - before
        assert SANITIZED or grown < 6 << 20, "%d bytes" % grown


def test_many_uploads_that_nobody_takes(gateway, origin, tmp_path):
    """A target that reads nothing: as much of each upload as h2.h says, and the rest stays with the client."""
    stop = threading.Event()

    def deaf(conn):
        stop.wait(60)
    o = origin(script=deaf)
    g = gateway(config(o, listener=H2, gateway='timeouts: { body = "30s"; send = "30s"; };'))
    before, grown = memory(g.workers()[0]), 0
    (tmp_path / "body").write_bytes(b"x" * (2 << 20))
    load = subprocess.Popen(["h2load", "-n", "128", "-c", "1", "-m", "128", "-d", str(tmp_path / "body"), "http://127.0.0.1:%d/" % g.port],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: len(o.conns) == 128, "the requests at the target")
    for _ in range(10):
        time.sleep(0.1)
        grown = max(grown, memory(g.workers()[0]) - before)
    load.kill()
    load.wait()
    stop.set()
    assert SANITIZED or grown < 20 << 20, "%d bytes" % grown
