"""WebSocket and any other Upgrade becomes a tunnel, with its idle timeout."""
import asyncio
import base64
import os
import ssl
import threading

import pytest

from h2client import H2, h2
from harness import Origin, assert_problem, config, make_request, reply, wait_for
from pki import Pki

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


def test_a_route_has_its_own_patience(gateway, origin):
    g = gateway(config(origin(script=echo), gateway='timeouts: { tunnel = "60s"; };',
                       routes='{ match = "* /short"; to = "origin"; timeout: { tunnel = "300ms"; }; }, { match = "* /*"; to = "origin"; }'))
    with g.client() as short, g.client() as long:
        for path, c in (("/short", short), ("/long", long)):
            assert c.ask("GET", path, headers=UPGRADE).status == 101
        short.at_end()
        long.send(b"ping")
        assert long.read_exact(4) == b"ping"


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


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    p = Pki(tmp_path_factory.mktemp("pki"))
    p.cert("server", "localhost", san=["DNS:localhost", "IP:127.0.0.1"])
    return p


def tls(pki):
    return 'tls: { cert = "%s"; key = "%s"; };' % (pki.path("server.pem"), pki.path("server.key"))


@pytest.mark.parametrize("how", ["plain", "tls", "h2 between"])
def test_by_the_websockets_library(gateway, pki, how):
    """A real client and a real server through the gateway: text, binary, large, ping, orderly close. Between two gateways
    it goes by extended CONNECT."""
    websockets = pytest.importorskip("websockets")
    context = ssl.create_default_context(cafile=pki.path("ca.pem")) if how == "tls" else None

    async def handler(ws, path=None):
        async for message in ws:
            await ws.send(message)

    def start(port):
        if how == "h2 between":
            second = gateway(config("http://127.0.0.1:%d" % port, listener='http = [ "h2" ];'))
            return gateway(config("http://127.0.0.1:%d" % second.port, upstream='http = "h2";'))
        return gateway(config("http://127.0.0.1:%d" % port, listener=tls(pki) if context else ""))

    async def main():
        async with websockets.serve(handler, "127.0.0.1", 0, max_size=None, subprotocols=["chat"]) as server:
            port = server.sockets[0].getsockname()[1]
            g = await asyncio.get_running_loop().run_in_executor(None, start, port)
            url = "%s://127.0.0.1:%d/chat" % ("wss" if context else "ws", g.port)
            async with websockets.connect(url, max_size=None, ssl=context, subprotocols=["chat"]) as ws:
                assert ws.subprotocol == "chat"
                for message in ("hello", "\u20ac" * 1000, b"\x00\x01" * 50000, os.urandom(3 << 20)):
                    await ws.send(message)
                    assert await ws.recv() == message
                await asyncio.wait_for(await ws.ping(), 30)
            assert ws.close_code == 1000
    asyncio.run(main())


# ---- over HTTP/2: extended CONNECT (RFC 8441)

WITH_H2 = 'http = [ "h2", "1.1" ];'


@pytest.mark.parametrize("how", ["plain", "tls"])
def test_h2(gateway, origin, pki, how):
    pytest.importorskip("h2")
    o = origin(script=echo)
    g = gateway(config(o, listener=WITH_H2 + (tls(pki) if how == "tls" else "")))
    with H2(g.port, ssl.create_default_context(cafile=pki.path("ca.pem")) if how == "tls" else None) as c:
        id = c.connect("/chat?x=y")
        assert c.status(id) == "200" and "sec-websocket-accept" not in c.heads[id] and c.heads[id]["x-a"] == "b"
        assert c.h2.remote_settings[h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL] == 1
        for data in (b"hello", os.urandom(60000)):
            c.send(id, data)
            assert c.read(id, len(data)) == data
        assert c.get("/other")[0][":status"] == "200"
        c.end(id)
        assert c.read(id, 3) == b"bye"
        c.until(lambda: id in c.ended or id in c.resets)
    q = o.heads[0]
    assert q.method == "GET" and q.target == "/chat?x=y" and q.get("upgrade") == "websocket" and "upgrade" in q.words("connection")
    assert q.get("sec-websocket-version") == "13" and len(base64.b64decode(q.get("sec-websocket-key"))) == 16
    assert q.get("x-forwarded-proto") == ("https" if how == "tls" else "http")


def test_h2_much(gateway, origin):
    pytest.importorskip("h2")
    g = gateway(config(origin(script=echo), listener=WITH_H2))
    with H2(g.port) as c:
        id = c.connect()
        data = os.urandom(1 << 16)
        for _ in range(64):
            c.send(id, data)
            assert c.read(id, len(data)) == data


def test_h2_many(gateway, origin):
    """A hundred on one connection."""
    pytest.importorskip("h2")
    o = origin(script=echo)
    g = gateway(config(o, listener=WITH_H2))
    with H2(g.port) as c:
        ids = [c.connect("/%d" % i, wait=False) for i in range(100)]
        c.until(lambda: all(i in c.heads for i in ids))
        for i in ids:
            c.send(i, b"%08d" % i)
        for i in ids:
            assert c.read(i, 8) == b"%08d" % i
    wait_for(lambda: not o.open_conns(), "the end of all tunnels at the origin")


def test_h2_a_slow_reader_stalls_only_itself(gateway, origin):
    pytest.importorskip("h2")

    def script(conn):
        r = conn.request()
        conn.send(SWITCH)
        if r.target == "/flood":
            while True:
                conn.send(b"x" * 65536)
        while conn.fill():
            data, conn.buf = conn.buf, b""
            conn.send(data)
    g = gateway(config(origin(script=script), listener=WITH_H2))
    with H2(g.port) as c:
        slow = c.connect("/flood", wait=False)
        c.greedy.add(slow)
        c.until(lambda: len(c.bodies.get(slow, b"")) >= 65535)
        id = c.connect("/echo")
        for i in range(100):
            c.send(id, b"%04d" % i)
            assert c.read(id, 4) == b"%04d" % i
        assert len(c.bodies[slow]) <= 65535


def test_h2_refused(gateway, origin):
    pytest.importorskip("h2")
    o = origin(lambda r: reply(403, b"no"))
    g = gateway(config(o, listener=WITH_H2, routes='{ match = "GET /ws"; to = "origin"; }'))
    with H2(g.port) as c:
        id = c.connect("/ws")
        assert c.status(id) == "403"
        c.until(lambda: c.bodies.get(id) == b"no")
        id = c.connect("/none")
        assert c.status(id) == "404"
        assert c.get("/ws")[0][":status"] == "403"


def test_h2_an_answer_is_no_tunnel(gateway, origin):
    """An origin that answers as if nothing was asked for: 200 would be taken for the tunnel (RFC 8441)."""
    pytest.importorskip("h2")
    g = gateway(config(origin(lambda r: reply(200, b"page")), listener=WITH_H2))
    with H2(g.port) as c:
        id = c.connect()
        assert c.status(id) == "502"
        c.until(lambda: b"upgrade_failed" in c.bodies.get(id, b""))
        assert c.get("/")[1] == b"page"


def test_h2_leaves(gateway, origin):
    pytest.importorskip("h2")
    o = origin(script=echo)
    g = gateway(config(o, listener=WITH_H2))
    with H2(g.port) as c:
        id = c.connect()
        c.send(id, b"ping")
        assert c.read(id, 4) == b"ping"
        c.reset(id)
        wait_for(o.conns[0].ended.is_set, "the end of the tunnel at the origin")
        assert c.get("/")[0][":status"] == "200"


def test_h2_idle_tunnel_ends(gateway, origin):
    """And nothing else on that connection."""
    pytest.importorskip("h2")
    o = origin(script=echo)
    g = gateway(config(o, listener=WITH_H2, gateway='timeouts: { tunnel = "400ms"; };'))
    with H2(g.port) as c:
        id = c.connect()
        c.send(id, b"ping")
        assert c.read(id, 4) == b"ping"
        c.until(lambda: id in c.ended or id in c.resets)
        wait_for(o.conns[0].ended.is_set, "the end of the tunnel at the origin")
        assert c.get("/")[0][":status"] == "200"


def test_concurrency_counts_tunnels(gateway, origin):
    """From the upgrade to the end of the tunnel, whatever it came by."""
    pytest.importorskip("h2")
    g = gateway(config(origin(script=echo), listener=WITH_H2, upstream="pool: { idle = 0; };",
                       service='policies = ( { type = "concurrency"; limit = 2; by = "{client.ip}"; } );'))
    with g.client() as first, g.client() as third, H2(g.port) as c:
        assert first.ask("GET", "/", headers=UPGRADE).status == 101
        id = c.connect()
        assert c.status(id) == "200"
        c.send(id, b"ping")
        assert c.read(id, 4) == b"ping"
        assert_problem(third.ask("GET", "/", headers=UPGRADE), 429, "concurrency_exceeded")
        assert c.status(c.connect()) == "429"
        c.reset(id)
        wait_for(lambda: g.get("/").status == 200, "room for one more")
        again = c.connect()
        assert c.status(again) == "200"
        assert g.get("/").status == 429
        first.reset()
        wait_for(lambda: g.get("/").status == 200, "room again")
