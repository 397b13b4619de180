"""PROXY protocol: who the client is, when a proxy in front says it; from peers in trust only, and never by accident."""
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import time

import pytest

from harness import DEADLINE, Client, config, free_port, make_request, wait_for
from test_listeners import UnixClient, has_ipv6, on
from test_upgrade import gone, replace, upgradable, upgrade

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOG = 'policies = ( { type = "access-log"; path = "@DIR@/access.log"; } );'


def crc32c(data):
    c = 0xffffffff
    for byte in data:
        c ^= byte
        for _ in range(8):
            c = c >> 1 ^ (0x82f63b78 if c & 1 else 0)
    return c ^ 0xffffffff


def v1(source, port=4711, family=None, to=None):
    six = ":" in source
    return ("PROXY %s %s %s %d 443\r\n" % (family or ("TCP6" if six else "TCP4"), source,
                                          to or ("2001:db8::ffff" if six else "198.51.100.1"), port)).encode()


def tlv(kind, value):
    return struct.pack(">BH", kind, len(value)) + value


def v2(source=None, port=4711, tlvs=b"", checksum=False, command=1):
    if source is None:
        family, at = 0, b""
    elif ":" in source:
        family, at = 0x21, b"".join(socket.inet_pton(socket.AF_INET6, a) for a in (source, "2001:db8::ffff"))
    else:
        family, at = 0x11, socket.inet_aton(source) + socket.inet_aton("198.51.100.1")
    if at:
        at += struct.pack(">HH", port, 443)
    if checksum:
        tlvs += tlv(3, b"\0\0\0\0")
    head = SIGNATURE + struct.pack(">BBH", 0x20 | command, family, len(at + tlvs)) + at + tlvs
    return head[:-4] + struct.pack(">I", crc32c(head)) if checksum else head


def proxied(gateway, origin, mode="accept", trust='"127.0.0.1"', **kw):
    return gateway(config(origin, gateway=LOG, listener='proxy_protocol = "%s"; trust = [ %s ]; %s' % (
        mode, trust, kw.pop("listener", "")), **kw))


def seen(o):
    """Whom the origin was told of last."""
    return o.requests[-1].get("x-forwarded-for")


def logged(g, path):
    """The line of the access log about a path."""
    def line():
        try:
            with open(g.path("access.log")) as f:
                got = [json.loads(s) for s in f if s.endswith("\n")]
        except OSError:
            return None
        got = [x for x in got if x["url.path"] == path]
        return got[0] if got else None
    return wait_for(line, "a line about %s in the access log" % path)


HEADERS = [
    (v1("203.0.113.7"), "203.0.113.7"),
    (v1("2001:db8::7"), "2001:db8::7"),
    (v1("::ffff:203.0.113.8", to="::1"), "203.0.113.8"),
    (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    (b"PROXY UNKNOWN what ever 1 2\r\n", "127.0.0.1"),
    (v2("203.0.113.7"), "203.0.113.7"),
    (v2("2001:db8::7"), "2001:db8::7"),
    (v2("203.0.113.9", tlvs=tlv(1, b"h2") + tlv(2, b"a.example") + tlv(4, b"x" * 2000), checksum=True), "203.0.113.9"),
    (v2("203.0.113.7", command=0), "127.0.0.1"),
    (v2(), "127.0.0.1"),
]


@pytest.mark.parametrize("mode", ["accept", "require"])
def test_who_the_client_is(gateway, origin, mode):
    o = origin()
    g = proxied(gateway, o, mode)
    for i, (head, who) in enumerate(HEADERS):
        with g.client() as c:
            c.send(head + make_request("GET", "/%d" % i))
            assert c.response().body == b"GET /%d" % i
            assert seen(o) == who, head
            # It is so for the whole connection, and a second header is none.
            assert c.get("/again").status == 200
            assert seen(o) == who
    for i, (_, who) in enumerate(HEADERS):
        assert logged(g, "/%d" % i)["client.address"] == who


def test_piece_by_piece(gateway, origin):
    """A header may come in any pieces, and what follows in the same one."""
    o = origin()
    g = proxied(gateway, o, "require")
    for head in (v1("203.0.113.7"), v2("203.0.113.7", checksum=True)):
        for at in range(1, len(head), 5):
            with g.client() as c:
                c.send(head[:at])
                time.sleep(0.003)
                c.send(head[at:] + make_request("GET", "/") * 3)
                for _ in range(3):
                    assert c.response().status == 200
                assert seen(o) == "203.0.113.7"


def test_accept_without(gateway, origin):
    """Trusted peers may speak it or not."""
    o = origin()
    g = proxied(gateway, o)
    assert g.get("/").status == 200
    assert seen(o) == "127.0.0.1"
    # What begins like a header and is none.
    with g.client() as c:
        c.send(b"\r\n")
        time.sleep(0.01)
        c.send(make_request("GET", "/b"))
        assert c.response().body == b"GET /b"
    with g.client() as c:
        c.send(b"PR")
        time.sleep(0.01)
        c.send(b"INT /c HTTP/1.1\r\nHost: test.example\r\n\r\n")
        assert c.response().body == b"PRINT /c"


def test_require_without(gateway, origin):
    o = origin()
    g = proxied(gateway, o, "require")
    with g.client() as c:
        c.send(make_request("GET", "/"))
        assert c.at_end() == b""
    assert not o.requests
    g.wait_log("listener main: connection of 127.0.0.1:\\d+ refused: no PROXY header")


def test_strangers(gateway, origin):
    """Whoever is not in trust: its header is never believed."""
    o = origin()
    g = gateway(on(o, "0.0.0.0:@PORT@", "127.0.0.1:@PORT2@").replace(
        "bind =", 'proxy_protocol = "accept"; trust = [ "127.0.0.1" ]; bind ='))
    for head in (v1("203.0.113.7"), v2("203.0.113.7")):
        with Client(g.port, source="127.0.0.2") as c:
            c.send(head + make_request("GET", "/"))
            assert c.at_end()[:12] in (b"HTTP/1.1 400", b"")
        assert not o.requests
    with Client(g.port, source="127.0.0.2") as c:
        assert c.get("/").status == 200
    assert seen(o) == "127.0.0.2"


def test_strangers_where_it_is_required(gateway, origin):
    o = origin()
    g = gateway(on(o, "0.0.0.0:@PORT@").replace(
        "bind =", 'proxy_protocol = "require"; trust = [ "127.0.0.1" ]; bind ='))
    for data in (v1("203.0.113.7") + make_request("GET", "/"), make_request("GET", "/")):
        with Client(g.port, source="127.0.0.2") as c:
            try:
                c.send(data)
            except OSError:
                pass
            assert c.at_end() == b""
    assert not o.requests
    g.wait_log("connection of 127.0.0.2:\\d+ refused: no PROXY header: .*not in trust")


def test_not_spoken_when_it_is_not_configured(gateway, origin):
    o = origin()
    g = gateway(config(o, listener='trust = [ "127.0.0.1" ];'))
    with g.client() as c:
        c.send(v1("203.0.113.7") + make_request("GET", "/"))
        assert c.at_end().startswith(b"HTTP/1.1 400 ")
    assert not o.requests


BROKEN = [
    b"PROXY TCP4 203.0.113.7 198.51.100.1 4711\r\n",
    b"PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\n" + b" " * 100,
    b"PROXY TCP4 203.0.113.700 198.51.100.1 4711 443\r\n",
    b"PROXY TCP4 203.0.113.7 198.51.100.1 04711 443\r\n",
    b"PROXY TCP6 203.0.113.7 198.51.100.1 4711 443\r\n",
    b"PROXY " + b"x" * 200,
    v2("203.0.113.7")[:12] + b"\x31" + v2("203.0.113.7")[13:],
    v2("203.0.113.7")[:15] + b"\x05" + v2("203.0.113.7")[16:],
    v2("203.0.113.7", tlvs=b"\1\0\7h2"),
    v2("203.0.113.7", checksum=True)[:-1] + b"\0",
    v2("203.0.113.7", tlvs=tlv(2, b"a\r\nx-evil: 1")),
    SIGNATURE + b"\x21\x11\xff\xff",
]


@pytest.mark.parametrize("mode", ["accept", "require"])
def test_broken_headers(gateway, origin, mode):
    o = origin()
    g = proxied(gateway, o, mode)
    for head in BROKEN:
        with g.client() as c:
            try:
                c.send(head + make_request("GET", "/"))
            except OSError:
                pass
            assert c.at_end() == b"", head
    assert not o.requests
    g.wait_log("a bad PROXY header")
    g.wait_log("connection of 127.0.0.1")
    assert g.get("/").status == 200 if mode == "accept" else True


@pytest.mark.parametrize("head", [v1("203.0.113.7")[:20], v2("203.0.113.7")[:20], b"P", b"\r"])
def test_truncated(gateway, origin, head):
    """Half a header and then nothing: it ends at the deadline; at once if the client leaves."""
    o = origin()
    g = proxied(gateway, o, "require")
    with g.client() as c:
        c.send(head)
        c.half_close()
        assert c.at_end() == b""
    g.reload(config(o, gateway='timeouts: { head = "500ms"; };',
                    listener='proxy_protocol = "require"; trust = [ "127.0.0.1" ];'))
    with g.client() as c:
        c.send(head)
        began = time.monotonic()
        assert c.at_end() == b""
        assert 0.4 < time.monotonic() - began < DEADLINE
    g.wait_log("refused: not done in time")
    assert not o.requests


def test_what_the_client_says_of_itself(gateway, origin):
    """The proxy is in trust, its client is not: X-Forwarded-For of that client is replaced."""
    o = origin()
    g = proxied(gateway, o, "require")
    with g.client() as c:
        c.send(v1("203.0.113.7") + make_request("GET", "/", [("X-Forwarded-For", "10.1.1.1")]))
        assert c.response().status == 200
    assert seen(o) == "203.0.113.7"
    # A second proxy behind the first, in trust as well.
    g.reload(config(o, listener='proxy_protocol = "require"; trust = [ "127.0.0.1", "203.0.113.0/24" ];'))
    with g.client() as c:
        c.send(v1("203.0.113.7") + make_request("GET", "/", [("X-Forwarded-For", "192.0.2.55")]))
        assert c.response().status == 200
    assert seen(o) == "192.0.2.55, 203.0.113.7"


def test_limits_count_the_client(gateway, origin):
    """A limit by address counts those behind the proxy, each by itself."""
    o = origin()
    g = proxied(gateway, o, "require", routes='{ match = "* /*"; to = "origin"; policies = ( { type = "rate-limit"; '
                                              'rate = "1/min"; by = "{client.ip}"; } ); }')

    def status(who):
        with g.client() as c:
            c.send(v1(who) + make_request("GET", "/"))
            return c.response().status
    assert [status("203.0.113.1"), status("203.0.113.1"), status("203.0.113.2")] == [200, 429, 200]


def test_reload_changes_the_rule(gateway, origin):
    o = origin()
    g = proxied(gateway, o, "require")
    with g.client() as waiting:
        waiting.send(v1("203.0.113.7")[:10])
        g.reload(config(o))
        assert g.get("/").status == 200
        assert seen(o) == "127.0.0.1"
        # Who had begun goes on by the rule of its beginning.
        waiting.send(v1("203.0.113.7")[10:] + make_request("GET", "/"))
        assert waiting.response().status == 200
    assert seen(o) == "203.0.113.7"


def test_unix_socket(gateway, origin):
    """A proxy on the same host, by a unix socket: trusted as \"unix\"."""
    o = origin()
    g = gateway(on(o, "unix:@DIR@/web.sock").replace(
        "bind =", 'proxy_protocol = "require"; trust = [ "unix" ]; bind ='))
    with UnixClient(g.path("web.sock")) as c:
        c.send(v2("203.0.113.7") + make_request("GET", "/"))
        assert c.response().status == 200
    assert seen(o) == "203.0.113.7"


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_ipv6_proxy(gateway, origin):
    o = origin()
    g = gateway(on(o, "[::1]:@PORT@").replace("bind =", 'proxy_protocol = "require"; trust = [ "::1" ]; bind ='))
    with Client(g.port, host="::1") as c:
        c.send(v2("2001:db8::7") + make_request("GET", "/"))
        assert c.response().status == 200
    assert seen(o) == "2001:db8::7"


def test_h2c_behind_it(gateway, origin):
    """The header, then HTTP/2 by prior knowledge: the first bytes behind it decide."""
    o = origin()
    g = proxied(gateway, o, "require", listener='http = [ "h2", "1.1" ];')
    with g.client() as c:
        c.send(v2("203.0.113.7") + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        assert c.read_exact(9)[3] == 4                          # its SETTINGS
    with g.client() as c:
        c.send(v2("203.0.113.7") + make_request("GET", "/"))
        assert c.response().status == 200
    assert seen(o) == "203.0.113.7"


def test_curl(gateway, origin):
    o = origin()
    g = proxied(gateway, o, "require")
    out = subprocess.run(["curl", "-sS", "--haproxy-protocol", "http://127.0.0.1:%d/a" % g.port], capture_output=True,
                         timeout=DEADLINE)
    assert out.stdout == b"GET /a", out
    assert seen(o) == "127.0.0.1"


# ---- with TLS

@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    d = tmp_path_factory.mktemp("proxy-tls")
    os.chmod(d, 0o755)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "30", "-subj", "/CN=test.example", "-addext", "subjectAltName=DNS:test.example", "-keyout",
                    str(d / "key.pem"), "-out", str(d / "cert.pem")], check=True, capture_output=True)
    return d


def tls_listener(d):
    return 'tls: { cert = "%s/cert.pem"; key = "%s/key.pem"; };' % (d, d)


class TLSClient(Client):
    """Sends `head` in the clear, then shakes hands."""

    def __init__(self, port, d, head=b"", alpn=("http/1.1",), **kw):
        super().__init__(port, **kw)
        self.sock.sendall(head)
        context = ssl.create_default_context(cafile=str(d / "cert.pem"))
        context.set_alpn_protocols(list(alpn))
        self.sock = context.wrap_socket(self.sock, server_hostname="test.example")


@pytest.mark.parametrize("mode", ["accept", "require"])
def test_header_before_tls(gateway, origin, certificate, mode):
    """Not a byte of the handshake is lost to the header."""
    o = origin()
    g = proxied(gateway, o, mode, listener=tls_listener(certificate))
    for head, who in HEADERS:
        with TLSClient(g.port, certificate, head) as c:
            assert c.get("/a").body == b"GET /a"
            assert seen(o) == who, head
            assert c.ask("POST", "/b", body=b"x" * 200000).status == 200
    if mode == "accept":
        with TLSClient(g.port, certificate) as c:
            assert c.get("/a").status == 200
        assert seen(o) == "127.0.0.1"


def test_header_inside_tls(gateway, origin, certificate):
    """It belongs before the handshake: within, it is a bad request."""
    o = origin()
    g = proxied(gateway, o, listener=tls_listener(certificate))
    with TLSClient(g.port, certificate) as c:
        c.send(v1("203.0.113.7") + make_request("GET", "/"))
        assert c.response().status == 400
    assert not o.requests


def test_strangers_with_tls(gateway, origin, certificate):
    o = origin()
    g = gateway(on(o, "0.0.0.0:@PORT@").replace(
        "bind =", 'proxy_protocol = "accept"; trust = [ "127.0.0.1" ]; %s bind =' % tls_listener(certificate)))
    with pytest.raises((ssl.SSLError, OSError)):
        TLSClient(g.port, certificate, v1("203.0.113.7"), source="127.0.0.2")
    with TLSClient(g.port, certificate, source="127.0.0.2") as c:
        assert c.get("/").status == 200
    assert [q.get("x-forwarded-for") for q in o.requests] == ["127.0.0.2"]


def test_curl_with_tls(gateway, origin, certificate):
    o = origin()
    g = proxied(gateway, o, "require", listener=tls_listener(certificate))
    out = subprocess.run(["curl", "-sS", "--haproxy-protocol", "--cacert", str(certificate / "cert.pem"), "--resolve",
                          "test.example:%d:127.0.0.1" % g.port, "-w", " %{http_version}",
                          "https://test.example:%d/a" % g.port], capture_output=True, timeout=DEADLINE)
    assert out.stdout == b"GET /a 2", out
    assert seen(o) == "127.0.0.1"


# ---- a proxy of another house

@pytest.mark.skipif(not shutil.which("haproxy"), reason="haproxy is not here")
@pytest.mark.parametrize("how", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id",
                                 "send-proxy-v2-ssl-cn"])
def test_behind_haproxy(gateway, origin, how, tmp_path):
    o = origin()
    g = proxied(gateway, o, "require")
    port = free_port()
    conf = tmp_path / "haproxy.cfg"
    conf.write_text("defaults\n mode tcp\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n"
                    "listen front\n bind 127.0.0.1:%d\n unique-id-format %%pid-%%rt\n"
                    " server gate 127.0.0.1:%d %s\n" % (port, g.port, how))
    p = subprocess.Popen(["haproxy", "-db", "-q", "-f", str(conf)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        def connected():
            assert p.poll() is None, p.stdout.read()
            try:
                return Client(port, source="127.0.0.5")
            except OSError:
                return None
        with wait_for(connected, "haproxy") as c:
            assert c.get("/a").body == b"GET /a"
            assert seen(o) == "127.0.0.5"
            assert c.ask("POST", "/b", body=b"x" * 100000).status == 200
    finally:
        p.terminate()
        p.wait()


def test_out_and_in(gateway, origin):
    """A gateway sends it, another one reads it: the first client of all is told of at the end."""
    o = origin()
    inner = proxied(gateway, o, "require")
    for version in (1, 2):
        outer = gateway(on("http://127.0.0.1:%d" % inner.port, "0.0.0.0:@PORT@",
                           upstream="proxy_protocol = %s;" % ('"v%d"' % version)))
        with Client(outer.port, source="127.0.0.7") as c:
            assert c.get("/a").body == b"GET /a"
        assert seen(o) == "127.0.0.7"


def test_handshake_under_way(gateway, origin, certificate):
    """Who is in the middle of a handshake when a worker drains is served: an upgrade fails no request."""
    o = origin()
    g = upgradable(gateway, config(o, listener=tls_listener(certificate), gateway='drain = "10s";'))
    g.stable = False
    c = g.client()
    c.send(b"\x16")                     # the first byte of a ClientHello
    wait_for(lambda: True)
    context = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    a, b = ssl.MemoryBIO(), ssl.MemoryBIO()
    s = context.wrap_bio(a, b, server_hostname="test.example")
    try:
        s.do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = b.read()
    time.sleep(0.2)
    replace(g)
    old, _ = upgrade(g)
    time.sleep(1)
    c.send(hello[1:])
    while True:
        try:
            s.do_handshake()
            break
        except ssl.SSLWantReadError:
            if b.pending:
                c.send(b.read())
            data = c.sock.recv(65536)
            assert data, "cut"
            a.write(data)
    s.write(make_request("GET", "/a"))
    c.send(b.read())
    while True:
        data = c.sock.recv(65536)
        assert data
        a.write(data)
        try:
            got = s.read(4096)
            break
        except ssl.SSLWantReadError:
            pass
    assert got.startswith(b"HTTP/1.1 200"), got
    assert b"connection: close" in got.lower()
    c.close()
    wait_for(lambda: gone(g, old), "the end of the old master", timeout=30)
