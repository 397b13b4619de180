"""Every answer is whole, and the answer to its own request, or it can be seen that it is not: some hundred clients and an
origin, all of whom do at random what peers do, while the configuration is reloaded under them. Afterwards nothing is left.

What a client asks its origin to do is in the path, so that neither needs to know the other. The seed is printed when
the test fails; POSTERN_SEED repeats it."""
import asyncio
import json
import os
import random
import socket
import struct
import threading
import time
import urllib.parse
import zlib

from harness import SANITIZED, WATCHED, config, memory, wait_for

SECONDS = 8
CLIENTS = 120 if SANITIZED else 200
BLOB = random.Random(0).randbytes(5 << 20)
TIMEOUT = 60


def slice_of(key, size):
    """The bytes that belong to this key, and to no other (all but surely)."""
    at = zlib.crc32(key.encode()) % (len(BLOB) - (2 << 20) - 1)
    return BLOB[at:at + size]


def some_size(rnd):
    return rnd.choice((0, 1, rnd.randrange(100), rnd.randrange(5000), rnd.randrange(5000), rnd.randrange(70000),
                       65536, 300_000, rnd.randrange(600_000)) + ((rnd.randrange(2 << 20),) if rnd.random() < 0.3 else ()))


def reset(writer):
    s = writer.get_extra_info("socket")
    try:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    writer.transport.abort()


def pieces(rnd, data):
    """In parts of random length, now and then with a pause behind."""
    at, most = 0, rnd.choice((700, 5000, 70000, 1 << 20))
    while at < len(data):
        n = rnd.randrange(1, most)
        yield data[at:at + n]
        at += n


async def send(rnd, writer, data, chunked, until=None):
    """`until`: so many bytes, then no more."""
    sent = 0
    for p in pieces(rnd, data):
        if until is not None and sent + len(p) >= until:
            p = p[:until - sent]
            writer.write(b"%x\r\n%s" % (len(p) + 5, p) if chunked else p)
            await writer.drain()
            return
        writer.write(b"%x\r\n%s\r\n" % (len(p), p) if chunked else p)
        sent += len(p)
        await writer.drain()
        if rnd.random() < 0.02:
            await asyncio.sleep(rnd.random() * 0.02)
    if chunked:
        writer.write(b"0\r\n\r\n")
    await writer.drain()


async def read_head(reader):
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    return lines[0], {n.lower(): v.strip() for n, _, v in (s.partition(":") for s in lines[1:])}


async def read_body(reader, headers, pause=None):
    """None when there is no framing."""
    async def exactly(n):
        parts = []
        while n:
            data = await reader.read(min(n, 1 << 18))
            if not data:
                raise asyncio.IncompleteReadError(b"", n)
            parts.append(data)
            n -= len(data)
            if pause:
                await pause()
        return b"".join(parts)
    if "transfer-encoding" in headers:
        body = []
        while True:
            n = int(await reader.readuntil(b"\r\n"), 16)
            body.append(await exactly(n))
            assert await reader.readexactly(2) == b"\r\n"
            if not n:
                return b"".join(body)
    if "content-length" in headers:
        return await exactly(int(headers["content-length"]))
    return None


# ---- the origin

async def tunnel(reader, writer, key):
    """Says its part and goes; every byte of the other's is echoed as a count at the end."""
    writer.write(slice_of(key, 50_000))
    got = b""
    while len(got) < 30_000:
        data = await reader.read(65536)
        if not data:
            break
        got += data
    writer.write(b"OK" if got == slice_of(key + "u", 30_000) else b"NO")
    await writer.drain()
    writer.write_eof()
    while await reader.read(65536):
        pass


async def answer(reader, writer, start, headers):
    """False: the connection ends."""
    method, target, _ = start.split(" ")
    plan = json.loads(urllib.parse.unquote(target.split("?")[1]))
    key = target.split("?")[0].rsplit("/", 1)[1]
    rnd = random.Random(key)
    end = plan["end"]
    if end == "dead":
        if rnd.random() < 0.5:
            reset(writer)
        return False
    if "upgrade" in headers:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        await tunnel(reader, writer, key)
        return False
    up = "early"
    if not plan["early"]:
        body = await read_body(reader, headers) or b""
        up = "ok" if body == slice_of(key + "u", plan["up"]) else "bad %d" % len(body)
    for _ in range(plan["interim"]):
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
    if plan["wait"]:
        await asyncio.sleep(plan["wait"])
    data, framing = slice_of(key, plan["down"]), plan["framing"]
    head = "HTTP/1.1 200 OK\r\nX-Key: %s\r\nX-Up: %s\r\n" % (key, up)
    head += {"length": "Content-Length: %d\r\n" % len(data), "chunked": "Transfer-Encoding: chunked\r\n",
             "close": ""}[framing]
    if framing == "close" or plan["early"]:
        head += "Connection: close\r\n"
    writer.write(head.encode() + b"\r\n")
    if method == "HEAD":
        data = b""
        if framing == "chunked":
            framing = "length"
    cut = rnd.randrange(len(data)) if end in ("fin", "rst") and data else None
    await send(rnd, writer, data, framing == "chunked", cut)
    if cut is not None and end == "rst":
        reset(writer)
    return cut is None and framing != "close" and not plan["early"]


async def serve(reader, writer):
    try:
        while True:
            start, headers = await read_head(reader)
            if not await answer(reader, writer, start, headers):
                return
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


# ---- the clients

class Crowd:
    def __init__(self, port, seed):
        self.port, self.seed = port, seed
        self.until = time.monotonic() + SECONDS
        self.wrong = []
        self.whole = self.cut = self.refused = 0
        self.kinds = {}

    def plan(self, rnd):
        p = {"down": some_size(rnd), "up": 0, "framing": rnd.choice(("length", "length", "chunked", "chunked", "close")),
             "end": rnd.choice(("", "", "", "", "", "fin", "rst", "dead")), "early": False,
             "interim": rnd.choice((0, 0, 0, 2)), "wait": rnd.choice((0, 0, 0, 0, 0.05))}
        p["method"] = rnd.choice(("GET", "GET", "GET", "HEAD", "POST", "POST", "PUT"))
        if p["method"] in ("POST", "PUT"):
            p["up"] = some_size(rnd)
            p["early"] = rnd.random() < 0.1
        return p

    def head(self, key, p, rnd, version="1.1", last=False, extra=""):
        framing = ""
        p["chunked"] = False
        if p["method"] in ("POST", "PUT"):
            p["chunked"] = version == "1.1" and rnd.random() < 0.5
            framing = "Transfer-Encoding: chunked\r\n" if p["chunked"] else "Content-Length: %d\r\n" % p["up"]
        what = {k: p[k] for k in ("down", "up", "framing", "end", "early", "interim", "wait")}
        return ("%s /r/%s?%s HTTP/%s\r\nHost: a\r\n%s%s%s\r\n" % (
            p["method"], key, urllib.parse.quote(json.dumps(what)), version, framing, extra,
            "Connection: close\r\n" if last else "")).encode()

    async def receive(self, reader, key, p, rnd, slow):
        """True: the answer was whole, the connection goes on."""
        async def pause():
            if slow and rnd.random() < 0.2:
                await asyncio.sleep(0.005)
        while True:
            start, headers = await asyncio.wait_for(read_head(reader), TIMEOUT)
            status = int(start.split(" ")[1])
            if status >= 200:
                break
        if p["method"] == "HEAD":
            body = b""
        else:
            body = await asyncio.wait_for(read_body(reader, headers, pause), TIMEOUT)
            if body is None:
                assert "close" in headers["connection"]
                body = await asyncio.wait_for(reader.read(-1), TIMEOUT)
        if status != 200:
            assert json.loads(body)["status"] == status if body else True, (key, body)
            assert status in (502, 503, 504), (key, status, body, p)
            assert p["end"] or p["early"], "%s: %d %r for %r" % (key, status, body, p)
            self.refused += 1
            return "close" not in headers.get("connection", "")
        assert headers["x-key"] == key, "%s got the answer to %s" % (key, headers["x-key"])
        assert headers["x-up"] in ("ok", "early"), (key, headers, p)
        if p["method"] != "HEAD":
            ended = p["end"] == "fin" and p["framing"] == "close"
            wanted = slice_of(key, p["down"])
            assert body == wanted or (ended and wanted.startswith(body)), \
                "%s: %d bytes for %d: %r" % (key, len(body), len(wanted), p)
            assert p["end"] in ("", "dead") or ended or not wanted, "%s: the cut of %r can not be seen" % (key, p)
        self.whole += 1
        return "close" not in headers.get("connection", "")

    async def upload(self, writer, key, p, rnd):
        if p["method"] in ("POST", "PUT"):
            await send(rnd, writer, slice_of(key + "u", p["up"]), p["chunked"])

    async def polite(self, rnd, name, reader, writer):
        """Requests one after the other, or in a pipeline; the last may half-close."""
        slow = rnd.random() < 0.15
        for round in range(rnd.randrange(1, 6)):
            batch = []
            for i in range(rnd.choice((1, 1, 1, 4))):
                batch.append(("%s-%d-%d" % (name, round, i), self.plan(rnd)))
            if len(batch) > 1:
                for _, p in batch:
                    p["end"], p["early"] = "", False
                    if p["framing"] == "close":
                        p["framing"] = "length"

            async def ask():
                for key, p in batch:
                    writer.write(self.head(key, p, rnd))
                    await self.upload(writer, key, p, rnd)
            asking = asyncio.ensure_future(ask())
            try:
                for key, p in batch:
                    if not await self.receive(reader, key, p, rnd, slow):
                        return
            finally:
                # After an early answer the rest is of no use.
                if batch[-1][1]["early"] or batch[-1][1]["end"]:
                    asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
            if batch[-1][1]["early"] or asking.cancelled():
                return

    async def old(self, rnd, name, reader, writer):
        """HTTP/1.0: bodies end with the connection, and a cut of one is a reset."""
        p = self.plan(rnd)
        writer.write(self.head(name, p, rnd, "1.0"))
        asking = asyncio.ensure_future(self.upload(writer, name, p, rnd))
        await self.receive(reader, name, p, rnd, False)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    async def half(self, rnd, name, reader, writer):
        p = self.plan(rnd)
        writer.write(self.head(name, p, rnd))
        await self.upload(writer, name, p, rnd)
        writer.write_eof()
        await self.receive(reader, name, p, rnd, rnd.random() < 0.3)

    async def rude(self, rnd, name, reader, writer):
        """Leaves somewhere."""
        p = self.plan(rnd)
        writer.write(self.head(name, p, rnd))
        if rnd.random() < 0.5:
            await send(rnd, writer, slice_of(name + "u", p["up"]), p["chunked"], rnd.randrange(p["up"] + 1))
        else:
            await self.upload(writer, name, p, rnd)
            await reader.read(rnd.randrange(1, 100_000))
        if rnd.random() < 0.5:
            reset(writer)

    async def upgrade(self, rnd, name, reader, writer):
        p = self.plan(rnd)
        p.update(method="GET", end="", up=0)
        writer.write(self.head(name, p, rnd, extra="Connection: upgrade\r\nUpgrade: x\r\n"))
        mine = slice_of(name + "u", 30_000)
        if rnd.random() < 0.5:
            writer.write(mine[:10_000])
            mine = mine[10_000:]
        start, _ = await asyncio.wait_for(read_head(reader), TIMEOUT)
        assert " 101 " in start, start
        asyncio.ensure_future(send(rnd, writer, mine, False))
        assert await reader.readexactly(50_000) == slice_of(name, 50_000), name
        assert await asyncio.wait_for(reader.read(-1), TIMEOUT) == b"OK", name
        writer.write_eof()
        self.whole += 1

    async def one(self, number):
        rnd = random.Random("%d/%d" % (self.seed, number))
        turn = 0
        while time.monotonic() < self.until and not self.wrong:
            turn += 1
            name = "%d.%d" % (number, turn)
            kind = rnd.choice((self.polite, self.polite, self.polite, self.old, self.half, self.rude, self.upgrade))
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 18)
            try:
                await kind(rnd, name, reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                self.cut += 1
            except Exception as e:      # an assertion, or a wait in vain
                self.wrong.append("%s %s: %r" % (kind.__name__, name, e))
            finally:
                writer.close()


async def storm(crowd, sock):
    server = await asyncio.start_server(serve, sock=sock, limit=1 << 18)
    await asyncio.wait_for(asyncio.gather(*(crowd.one(i) for i in range(CLIENTS))), SECONDS + 2 * TIMEOUT)
    server.close()


def descriptors(pid):
    """But pipes, of which some rest to be used again."""
    names = []
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            names.append(os.readlink("/proc/%d/fd/%s" % (pid, fd)))
        except OSError:
            pass
    return sorted(n.split(":")[0] for n in names if not n.startswith("pipe:") and "memfd" not in n)


def test_everything_at_once(gateway):
    seed = int(os.environ.get("POSTERN_SEED") or random.SystemRandom().randrange(1 << 30))
    print("POSTERN_SEED=%d" % seed)
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(1024)
    sock.setblocking(False)
    conf = config("http://127.0.0.1:%d" % sock.getsockname()[1], workers=2, gateway=WATCHED,
                  upstream='pool: { idle_timeout = "500ms"; };')
    g = gateway(conf, env={"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:handle_abort=1"})
    pids = g.workers()
    before = [(descriptors(p), memory(p)) for p in pids]
    crowd = Crowd(g.port, seed)
    thread = threading.Thread(target=lambda: asyncio.run(storm(crowd, sock)), daemon=True)
    thread.start()
    reloads = 0
    while thread.is_alive():
        thread.join(0.7)
        if time.monotonic() < crowd.until:
            g.reload()
            reloads += 1
    assert not crowd.wrong, "%d wrong: %s" % (len(crowd.wrong), "\n".join(crowd.wrong[:5]))
    print("%d whole, %d cut, %d refused, %d reloads" % (crowd.whole, crowd.cut, crowd.refused, reloads))
    assert crowd.whole > 300 and crowd.cut and crowd.refused and reloads > 3
    assert g.workers() == pids

    def quiet():
        rows = [r for r in g.stat()["processes"] if r["pid"] in pids]
        return all(not r["connections"] and not r["exchanges"] and not r["upstream_connections"] for r in rows)
    wait_for(quiet, "the end of all connections and exchanges", timeout=20)
    for pid, (fds, size) in zip(pids, before):
        wait_for(lambda: descriptors(pid) == fds, "descriptors as at the start: %r, %r" % (fds, descriptors(pid)))
        if not SANITIZED:
            assert memory(pid) - size < 16 << 20
    assert g.stop() == 0
    g.expect_exit = True
