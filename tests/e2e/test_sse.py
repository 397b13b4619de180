"""Server-Sent Events arrive one by one, as they are sent: over HTTP/1.1, TLS and HTTP/2, from an origin of either."""
import shutil
import ssl
import subprocess
import threading

import pytest

from h2client import H2, h2
from harness import DEADLINE, Client, config, wait_for
from pki import Pki

HEAD = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n%s\r\n")


class Events:
    """An origin that sends an event whenever it is told to, and notes when the gateway leaves."""

    def __init__(self, framing):
        self.framing = framing
        self.go = threading.Semaphore(0)
        self.sent = self.asked = 0
        self.last = False
        self.left = threading.Event()

    def event(self, i):
        return b"id: %d\ndata: event %d\n\n" % (i, i)

    def __call__(self, conn):
        if conn.request() is None:
            return
        conn.send(HEAD % (b"Transfer-Encoding: chunked\r\n" if self.framing == "chunked" else b"Connection: close\r\n"))
        try:
            while self.go.acquire(timeout=DEADLINE) and not self.last:
                data = self.event(self.sent)
                conn.send(b"%x\r\n%s\r\n" % (len(data), data) if self.framing == "chunked" else data)
                self.sent += 1
            if self.framing == "chunked":
                conn.send(b"0\r\n\r\n")
        except OSError:
            pass
        finally:
            self.left.set()

    def one(self):
        """Lets one go, and says what it is."""
        self.asked += 1
        self.go.release()
        return self.event(self.asked - 1)

    def end(self):
        self.last = True
        self.go.release()


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    p = Pki(tmp_path_factory.mktemp("pki"))
    p.cert("server", "localhost", san=["DNS:localhost", "IP:127.0.0.1"])
    return p


def tls(pki):
    return 'tls: { cert = "%s"; key = "%s"; };' % (pki.path("server.pem"), pki.path("server.key"))


class OverH1:
    def __init__(self, port, context=None):
        self.c = Client(port)
        if context:
            context.set_alpn_protocols(["http/1.1"])
            self.c.sock = context.wrap_socket(self.c.sock, server_hostname="localhost")
        self.c.request("GET", "/events", [("Accept", "text/event-stream")])
        head = self.c.head()
        assert head.status == 200 and head.get("content-type") == "text/event-stream"

    def event(self):
        n = int(self.c.read_until(b"\r\n"), 16)
        got = self.c.read_exact(n)
        assert self.c.read_exact(2) == b"\r\n"
        return got

    def over(self):
        return self.c.read_exact(5) == b"0\r\n\r\n"

    def close(self):
        self.c.close()


class OverH2:
    def __init__(self, port, context=None):
        self.c = H2(port, context)
        self.id = self.c.ask([(":method", "GET"), (":scheme", "https" if context else "http"), (":authority", "localhost"),
                              (":path", "/events"), ("accept", "text/event-stream")])
        self.c.until(lambda: self.id in self.c.heads)
        assert self.c.heads[self.id]["content-type"] == "text/event-stream"

    def event(self):
        self.c.until(lambda: self.c.bodies.get(self.id, b"").endswith(b"\n\n"))
        return self.c.read(self.id, len(self.c.bodies[self.id]))

    def over(self):
        self.c.until(lambda: self.id in self.c.ended)
        return True

    def close(self):
        self.c.reset(self.id)


WAYS = [(OverH1, False), (OverH1, True), (OverH2, False), (OverH2, True)]
NAMES = ["h1", "h1 tls", "h2", "h2 tls"]


def listener(pki, secure):
    return 'http = [ "h2", "1.1" ]; ' + (tls(pki) if secure else "")


def context(pki, secure):
    return ssl.create_default_context(cafile=pki.path("ca.pem")) if secure else None


@pytest.mark.parametrize("way,secure", WAYS, ids=NAMES)
@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_one_by_one(gateway, origin, pki, way, secure, framing):
    if way is OverH2 and not h2:
        pytest.skip("no python3-h2")
    events = Events(framing)
    g = gateway(config(origin(script=events), listener=listener(pki, secure)))
    c = way(g.port, context(pki, secure))
    for _ in range(30):
        want = events.one()
        assert c.event() == want        # the next is sent only now
    events.end()
    assert c.over()


@pytest.mark.parametrize("way,secure", WAYS, ids=NAMES)
def test_the_origin_hears_of_a_client_that_left(gateway, origin, pki, way, secure):
    if way is OverH2 and not h2:
        pytest.skip("no python3-h2")
    events = Events("chunked")
    o = origin(script=events)
    g = gateway(config(o, listener=listener(pki, secure)))
    c = way(g.port, context(pki, secure))
    want = events.one()
    assert c.event() == want
    c.close()
    wait_for(lambda: events.go.release() or events.left.is_set(), "the end at the origin", every=0.05)


@pytest.mark.parametrize("way,secure", [(OverH1, True), (OverH2, False)], ids=["h1 tls", "h2"])
def test_between_two_gateways(gateway, origin, pki, way, secure):
    """The second is asked over HTTP/2."""
    if not h2:
        pytest.skip("no python3-h2")
    events = Events("chunked")
    second = gateway(config(origin(script=events), listener='http = [ "h2" ];'))
    first = gateway(config("http://127.0.0.1:%d" % second.port, listener=listener(pki, secure), upstream='http = "h2";'))
    c = way(first.port, context(pki, secure))
    for _ in range(10):
        want = events.one()
        assert c.event() == want
    events.end()
    assert c.over()


def test_a_pause_is_no_end(gateway, origin):
    """An event every now and then, for longer than any client waits for a response."""
    events = Events("chunked")
    g = gateway(config(origin(script=events), gateway='timeouts: { body = "1s"; idle = "300ms"; };'))
    c = OverH1(g.port)
    for _ in range(4):
        threading.Event().wait(0.5)
        want = events.one()
        assert c.event() == want
    events.end()
    assert c.over()


def test_many_streams_on_one_connection(gateway, origin):
    if not h2:
        pytest.skip("no python3-h2")
    events = Events("chunked")
    g = gateway(config(origin(script=events), listener='http = [ "h2" ];'))
    with H2(g.port) as c:
        ids = [c.ask([(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/%d" % i)]) for i in range(50)]
        c.until(lambda: all(i in c.heads for i in ids))
        for _ in range(50 * 3):
            events.go.release()
        c.until(lambda: sum(b.count(b"\n\n") for b in c.bodies.values()) == 150)
    events.end()


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
@pytest.mark.parametrize("http", ["1.1", "2"])
def test_curl(gateway, origin, pki, http):
    events = Events("chunked")
    g = gateway(config(origin(script=events), listener=listener(pki, True)))
    p = subprocess.Popen(["curl", "-sSN", "--noproxy", "*", "--http" + http, "--cacert", pki.path("ca.pem"),
                          "https://127.0.0.1:%d/events" % g.port], stdout=subprocess.PIPE, bufsize=0)
    try:
        for _ in range(5):
            want = events.one()
            got = b""
            while len(got) < len(want):
                got += p.stdout.read(len(want) - len(got))
            assert got == want
        events.end()
        assert p.stdout.read() == b"" and p.wait(DEADLINE) == 0
    finally:
        p.kill()
        p.wait()
