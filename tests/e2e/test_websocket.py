"""WebSocket and any other Upgrade becomes a tunnel, with its idle timeout."""
import asyncio
import os
import threading

import pytest

from harness import Origin, assert_problem, config, make_request, reply, wait_for

UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13")]
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"


def echo(conn):
    """Switches, then sends back what comes until its end."""
    r = conn.request()
    if r is None:
        return
    if "upgrade" not in r.words("connection"):
        while r:
            conn.send(reply(200, b"plain"))
            r = conn.request()
        return
    conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nX-A: b\r\n\r\n" % r.get("upgrade").encode())
    while True:
        if conn.buf:
            data, conn.buf = conn.buf, b""
            conn.send(data)
        if not conn.fill():
            break
    conn.send(b"bye")
    conn.half_close()


def test_raw(gateway, origin):
    o = origin(script=echo)
    g = gateway(config(o))
    with g.client() as c:
        r = c.ask("GET", "/chat?x=y", headers=UPGRADE)
        assert r.status == 101 and "upgrade" in r.words("connection") and r.get("upgrade").lower() == "websocket" and r.get("x-a") == "b"
        assert not r.has("content-length") and not r.has("transfer-encoding")
        for data in (b"hello", b"\x00\xff\r\n\r\nGET / HTTP/1.1\r\n\r\n", b"x" * 100000):
            t = threading.Thread(target=c.send, args=(data,))
            t.start()
            assert c.read_exact(len(data)) == data
            t.join()
        c.half_close()
        assert c.read_all() == b"bye"
    q = o.requests[0]
    assert q.target == "/chat?x=y" and q.get("upgrade") == "websocket" and "upgrade" in q.words("connection")
    assert q.get("sec-websocket-key") == "dGhlIHNhbXBsZSBub25jZQ==" and q.get("sec-websocket-version") == "13"


@pytest.mark.parametrize("protocol", ["foo/2.0", "mqtt", "Echo", "IRC/6.9"])
def test_other_protocols(gateway, origin, protocol):
    o = origin(script=echo)
    g = gateway(config(o))
    with g.client() as c:
        r = c.ask("GET", "/", headers=[("Upgrade", protocol), ("Connection", "keep-alive, upgrade")])
        assert r.status == 101 and r.get("upgrade") == protocol
        c.send(b"ping")
        assert c.read_exact(4) == b"ping"


def test_words_right_behind(gateway, origin):
    """The origin speaks in the same piece as its 101, the client in the same piece as its request."""
    def script(conn):
        r = conn.head()
        conn.send(SWITCH + b"first words")
        assert conn.read_exact(5) == b"early"
        conn.send(b"heard")
    o = origin(script=script)
    g = gateway(config(o))
    with g.client() as c:
        c.send(make_request("GET", "/", UPGRADE) + b"early")
        r = c.response()
        assert r.status == 101
        assert c.read_exact(16) == b"first wordsheard"


def test_early_words_are_no_request(gateway, origin):
    """What a client sends before the 101 is not taken for a request when the origin refuses the upgrade."""
    o = origin(lambda r: reply(200, b"no upgrade"))
    g = gateway(config(o))
    with g.client() as c:
        c.send(make_request("GET", "/", UPGRADE))
        r = c.response()
        assert r.status == 200 and r.body == b"no upgrade"
        assert c.get("/next").status == 200


@pytest.mark.parametrize("status", [200, 400, 403, 426, 503])
def test_refused_by_the_origin(gateway, origin, status):
    o = origin(lambda r: reply(status, b"no"))
    g = gateway(config(o))
    with g.client() as c:
        r = c.ask("GET", "/", headers=UPGRADE)
        assert r.status == status and r.body == b"no"


def test_refused_by_the_gateway(gateway, origin):
    o = origin(script=echo)
    g = gateway(config(o, routes='{ match = "GET /ws"; to = "origin"; }'))
    with g.client() as c:
        assert_problem(c.ask("GET", "/none", headers=UPGRADE), 404, "no_route")
    assert not o.heads


@pytest.mark.parametrize("headers", [[("Upgrade", "websocket")], [("Connection", "upgrade")], [("Connection", "keep-alive"), ("Upgrade", "websocket")]])
def test_half_an_upgrade_is_none(gateway, origin, headers):
    o = origin(script=echo)
    g = gateway(config(o))
    with g.client() as c:
        r = c.ask("GET", "/", headers=headers)
        assert r.status == 200 and r.body == b"plain"
        assert c.get("/").body == b"plain"
    assert not o.requests[0].has("upgrade")


def test_not_from_1_0(gateway, origin):
    o = origin(script=echo)
    g = gateway(config(o))
    with g.client() as c:
        c.request("GET", "/", headers=UPGRADE, version="HTTP/1.0")
        r = c.response()
        assert r.status != 101


def test_origin_closes(gateway, origin):
    def script(conn):
        conn.request()
        conn.send(SWITCH + b"x" * 200000)
    g = gateway(config(origin(script=script)))
    with g.client() as c:
        assert c.ask("GET", "/", headers=UPGRADE).status == 101
        assert c.read_all() == b"x" * 200000


def test_client_resets(gateway, origin):
    o = origin(script=echo)
    g = gateway(config(o))
    c = g.client()
    assert c.ask("GET", "/", headers=UPGRADE).status == 101
    c.send(b"ping")
    assert c.read_exact(4) == b"ping"
    c.reset()
    wait_for(o.conns[0].ended.is_set, "the end of the tunnel at the origin")


def test_origin_resets(gateway, origin):
    def script(conn):
        conn.request()
        conn.send(SWITCH)
        conn.read_exact(4)
        conn.reset()
    g = gateway(config(origin(script=script)))
    with g.client() as c:
        assert c.ask("GET", "/", headers=UPGRADE).status == 101
        c.send(b"ping")
        assert c.at_end() == b""


def test_idle_tunnel_ends(gateway, origin):
    o = origin(script=echo)
    g = gateway(config(o, gateway='timeouts: { tunnel = "400ms"; };'))
    with g.client() as c:
        assert c.ask("GET", "/", headers=UPGRADE).status == 101
        c.send(b"ping")
        assert c.read_exact(4) == b"ping"
        c.at_end()                      # comes by itself
    wait_for(o.conns[0].ended.is_set, "the end of the tunnel at the origin")


@pytest.mark.parametrize("who", ["client", "origin"])
def test_a_word_keeps_it(gateway, origin, who):
    """Bytes of either side alone keep the tunnel open well beyond its idle time."""
    def script(conn):
        conn.request()
        conn.send(SWITCH)
        if who == "origin":
            for _ in range(15):
                threading.Event().wait(0.1)
                conn.send(b".")
            conn.send(b"end")
            conn.at_end()
        else:
            conn.read_exact(15)
            conn.send(b"end")
            conn.at_end()
    g = gateway(config(origin(script=script), gateway='timeouts: { tunnel = "800ms"; };'))
    with g.client() as c:
        assert c.ask("GET", "/", headers=UPGRADE).status == 101
        if who == "client":
            for _ in range(15):
                threading.Event().wait(0.1)
                c.send(b".")
            assert c.read_exact(3) == b"end"
        else:
            assert c.read_exact(18) == b"." * 15 + b"end"


def test_other_timeouts_are_not_for_tunnels(gateway, origin):
    """Neither the total nor the idle time of a request ends a tunnel."""
    o = origin(script=echo)
    g = gateway(config(o, gateway='timeouts: { idle = "200ms"; body = "200ms"; send = "200ms"; tunnel = "60s"; };',
                       upstream='timeout: { response = "200ms"; total = "300ms"; };'))
    with g.client() as c:
        assert c.ask("GET", "/", headers=UPGRADE).status == 101
        assert c.silent(1.2)
        c.send(b"ping")
        assert c.read_exact(4) == b"ping"


def test_much_both_ways(gateway, origin):
    """32 MB echoed, with back-pressure."""
    o = origin(script=echo)
    g = gateway(config(o))
    data = os.urandom(1 << 20)
    n = 32
    with g.client() as c:
        assert c.ask("GET", "/", headers=UPGRADE).status == 101

        def send():
            for _ in range(n):
                c.send(data)
            c.half_close()
        t = threading.Thread(target=send)
        t.start()
        for _ in range(n):
            assert c.read_exact(len(data)) == data
        assert c.read_all() == b"bye"
        t.join()


def test_many(gateway, origin):
    o = origin(script=echo)
    g = gateway(config(o, workers=2))
    clients = [g.client() for _ in range(200)]
    for c in clients:
        assert c.ask("GET", "/", headers=UPGRADE).status == 101
    for i, c in enumerate(clients):
        c.send(b"%04d" % i)
    for i, c in enumerate(clients):
        assert c.read_exact(4) == b"%04d" % i
    for c in clients:
        c.close()
    wait_for(lambda: not o.open_conns(), "the end of all tunnels at the origin")


def test_by_the_websockets_library(gateway, origin):
    """A real client and a real server through the gateway: text, binary, large, ping, orderly close."""
    websockets = pytest.importorskip("websockets")

    async def handler(ws, path=None):
        async for message in ws:
            await ws.send(message)

    async def main():
        async with websockets.serve(handler, "127.0.0.1", 0, max_size=None) as server:
            port = server.sockets[0].getsockname()[1]
            g = await asyncio.get_running_loop().run_in_executor(None, lambda: gateway(config("http://127.0.0.1:%d" % port)))
            async with websockets.connect("ws://127.0.0.1:%d/chat" % g.port, max_size=None) as ws:
                for message in ("hello", "\u20ac" * 1000, b"\x00\x01" * 50000, os.urandom(3 << 20)):
                    await ws.send(message)
                    assert await ws.recv() == message
                await asyncio.wait_for(await ws.ping(), 30)
            assert ws.close_code == 1000
    asyncio.run(main())
