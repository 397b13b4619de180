"""CONNECT: tunnels to what the listener allows, and nowhere else."""
import os
import random
import socket
import ssl
import subprocess
import threading
import time

import pytest

from harness import POSTERN, assert_problem, config, wait_for


class Echo:
    """Says back what it hears; remembers what came."""

    def __init__(self, family=socket.AF_INET, host="127.0.0.1"):
        self.sock = socket.socket(family)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((host, 0))
        self.port = self.sock.getsockname()[1]
        self.sock.listen(50)
        self.accepted = 0
        self.ended = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self.run, args=(c,), daemon=True).start()

    def run(self, c):
        try:
            while True:
                data = c.recv(65536)
                if not data:
                    break
                c.sendall(data)
            c.sendall(b"<end>")
            c.close()
        except OSError:
            pass
        self.ended += 1

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


@pytest.fixture
def echo():
    e = Echo()
    yield e
    e.close()


def proxy(gateway, allow, top="", **kw):
    return gateway(config("http://127.0.0.1:1", gateway=top, listener='connect: { allow = [ %s ]; };' % ", ".join(
        '"%s"' % a for a in allow), **kw))


def connect(g, target, headers=(), host=None):
    c = g.client()
    c.send("CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (
        target, host or target, "".join("%s: %s\r\n" % h for h in headers)))
    return c, c.head()


def refused(g, target, status=403, reason="connect_denied"):
    with g.client() as c:
        c.send("CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (target, target))
        assert_problem(c.response(), status, reason)


def test_a_tunnel(gateway, echo):
    g = proxy(gateway, ["127.0.0.1:%d" % echo.port])
    c, r = connect(g, "127.0.0.1:%d" % echo.port)
    assert r.status == 200 and r.version == "HTTP/1.1"
    assert not r.has("content-length") and not r.has("transfer-encoding")
    for piece in (b"hello", os.urandom(3000000)):
        t = threading.Thread(target=c.send, args=(piece,))
        t.start()
        assert c.read_exact(len(piece)) == piece
        t.join()
    c.half_close()
    assert c.read_all() == b"<end>"
    assert g.counter("connect_tunnels_total") == 1
    wait_for(lambda: g.counter("bytes_in_total") == 3000005, "bytes of tunnels are counted")


def test_bytes_right_behind_the_head(gateway, echo):
    g = proxy(gateway, ["127.0.0.1:%d" % echo.port])
    with g.client() as c:
        c.send("CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\nearly" % (echo.port, echo.port))
        assert c.head().status == 200
        assert c.read_exact(5) == b"early"


def test_the_end_of_the_other_side(gateway, echo):
    g = proxy(gateway, ["127.0.0.1:%d" % echo.port])
    c, _ = connect(g, "127.0.0.1:%d" % echo.port)
    c.send("x")
    c.read_exact(1)
    c.reset()
    wait_for(lambda: echo.ended == 1, "the other end sees that the client left")


def test_what_is_not_allowed(gateway, echo):
    g = proxy(gateway, ["127.0.0.1:%d" % echo.port, "*.example.com:443", "api.example.org:443"])
    for target in ("127.0.0.1:%d" % (echo.port + 1), "127.0.0.2:%d" % echo.port, "example.com:443",
                   "x.example.com:80", "api.example.org:80", "evil-example.com:443", "example.com.evil.test:443",
                   "[::1]:%d" % echo.port, "localhost:%d" % echo.port, "127.1:%d" % echo.port,
                   "2130706433:%d" % echo.port, "0x7f000001:%d" % echo.port):
        refused(g, target)
    assert echo.accepted == 0
    assert g.counter("connect_refused_total") == 12


def test_mapped_addresses_are_the_same_address(gateway, echo):
    g = proxy(gateway, ["127.0.0.1:%d" % echo.port])
    c, r = connect(g, "[::ffff:127.0.0.1]:%d" % echo.port)
    assert r.status == 200 or r.status == 403
    other = proxy(gateway, ["*.example.com:443"])
    refused(other, "[::ffff:127.0.0.1]:443")


def test_a_name_that_leads_to_this_machine(gateway, echo):
    """/etc/hosts has localhost: allowed by its name, refused by where it leads."""
    g = proxy(gateway, ["localhost:%d" % echo.port, "*.localhost:%d" % echo.port])
    refused(g, "localhost:%d" % echo.port, 403, "connect_local")
    assert echo.accepted == 0


def test_a_name_that_does_not_resolve(gateway):
    g = proxy(gateway, ["*.invalid:443"])
    with g.client() as c:
        c.send("CONNECT nowhere.invalid:443 HTTP/1.1\r\nHost: nowhere.invalid:443\r\n\r\n")
        assert_problem(c.response(), {502, 504}, {"upstream_dns", "connect_timeout"})


def test_nobody_listens(gateway, echo):
    echo.close()
    g = proxy(gateway, ["127.0.0.1:%d" % echo.port])
    refused(g, "127.0.0.1:%d" % echo.port, 502, "connect_refused")


def test_a_listener_without_it(gateway, origin):
    g = gateway(config(origin()))
    refused(g, "127.0.0.1:443", 405, "method_not_allowed")


@pytest.mark.parametrize("target", ["127.0.0.1", "127.0.0.1:", "/path", "http://127.0.0.1:1/", "user@127.0.0.1:1", "127.0.0.1:99999"])
def test_bad_targets(gateway, target):
    g = proxy(gateway, ["127.0.0.1:1"])
    with g.client() as c:
        c.send("CONNECT %s HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n" % target)
        assert c.response().status == 400


def test_other_requests_go_on(gateway, origin, echo):
    o = origin()
    g = gateway(config(o, listener='connect: { allow = [ "127.0.0.1:%d" ]; };' % echo.port))
    with g.client() as c:
        assert c.get("/x").status == 200
        c.send("CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n")
        assert c.response().status == 403
        assert c.get("/y").status == 200            # the connection is still one of HTTP
        c.send("CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (echo.port, echo.port))
        assert c.head().status == 200
        c.send("GET / HTTP/1.1\r\n\r\n")
        assert c.read_exact(18) == b"GET / HTTP/1.1\r\n\r\n"


def test_policies_of_the_gateway_hold(gateway, echo):
    target = "127.0.0.1:%d" % echo.port
    g = proxy(gateway, [target], top='policies = ( { type = "rate-limit"; rate = "2/min"; burst = 2; }, '
              '{ type = "access-log"; path = "@DIR@/access.log"; format = "{method} {path} {status} {reason}"; } );')
    for _ in range(2):
        c, r = connect(g, target)
        assert r.status == 200
        c.half_close()
        assert c.read_all() == b"<end>"
    refused(g, target, 429, "rate_limited")
    wait_for(lambda: g.counter("log_lines_total") == 3)
    g.expect_exit = True
    g.stop()
    with open(g.path("access.log")) as f:
        lines = f.read().splitlines()
    assert lines.count("CONNECT %s 200 " % target) == 2, lines
    assert any(s.startswith("CONNECT %s 429 rate_limited" % target) for s in lines), lines


def test_why_says_where_it_was_to_lead(gateway):
    g = proxy(gateway, ["127.0.0.1:1"])
    with g.client() as c:
        c.send("CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\n\r\n")
        r = c.response()
    wait_for(lambda: g.counter("requests_total") == 1)
    said = g.cli("why", r.json()["request_id"])
    assert "CONNECT api.example.com:443 " in said and "connect_denied" in said, said


def test_a_reload_leaves_tunnels_alone(gateway, echo):
    target = "127.0.0.1:%d" % echo.port
    g = proxy(gateway, [target])
    c, _ = connect(g, target)
    g.reload(config("http://127.0.0.1:1", listener='connect: { allow = [ "127.0.0.1:9" ]; };'))
    c.send("still")
    assert c.read_exact(5) == b"still"
    refused(g, target)


def test_an_idle_tunnel_ends(gateway, echo):
    target = "127.0.0.1:%d" % echo.port
    g = proxy(gateway, [target], top='timeouts: { tunnel = "500ms"; };')
    c, _ = connect(g, target)
    c.at_end()
    wait_for(lambda: echo.ended == 1)


def test_many_at_once(gateway, echo):
    target = "127.0.0.1:%d" % echo.port
    g = proxy(gateway, [target], workers=2)
    all_of_them = [connect(g, target) for _ in range(100)]
    assert {r.status for _, r in all_of_them} == {200}
    for i, (c, _) in enumerate(all_of_them):
        c.send("%03d" % i)
    for i, (c, _) in enumerate(all_of_them):
        assert c.read_exact(3) == b"%03d" % i
        c.close()
    wait_for(lambda: echo.ended == 100)


@pytest.fixture
def https(tmp_path):
    """An origin of HTTPS, and the certificate that it shows."""
    cert, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(10)

    def run():
        while True:
            try:
                c, _ = sock.accept()
                with context.wrap_socket(c, server_side=True) as s:
                    while b"\r\n\r\n" not in s.recv(65536):
                        pass
                    s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret")
            except ssl.SSLError:
                pass
            except OSError:
                return
    threading.Thread(target=run, daemon=True).start()
    yield sock.getsockname()[1], cert
    sock.close()


def test_curl_with_https_proxy(gateway, https):
    port, cert = https
    g = proxy(gateway, ["127.0.0.1:%d" % port])
    env = dict(os.environ, https_proxy="http://127.0.0.1:%d" % g.port, no_proxy="")
    got = subprocess.run(["curl", "-sS", "--cacert", cert, "https://127.0.0.1:%d/" % port], env=env,
                         capture_output=True, text=True, timeout=30)
    assert got.stdout == "secret", got.stderr
    got = subprocess.run(["curl", "-sS", "--cacert", cert, "https://127.0.0.1:%d/" % (port + 1)], env=env,
                         capture_output=True, text=True, timeout=30)
    assert got.returncode == 56 and "403" in got.stderr


class Names:
    """A name server for one name: answers after `delay`, or not at all."""

    def __init__(self, address, answers, delay=0.0):
        self.answers, self.delay, self.asked = answers, delay, []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((address, 53))
        self.sock.settimeout(0.2)
        self.closed = False
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while not self.closed:
            try:
                q, peer = self.sock.recvfrom(4096)
            except socket.timeout:
                continue
            except OSError:
                return
            threading.Thread(target=self.answer, args=(q, peer), daemon=True).start()

    def answer(self, q, peer):
        name, at = [], 12               # asked as the client wrote it
        while q[at]:
            name.append(q[at + 1:at + 1 + q[at]].decode().lower())
            at += 1 + q[at]
        kind = q[at + 1:at + 3]
        self.asked.append((".".join(name), int.from_bytes(kind, "big")))
        found = [socket.inet_aton(a) for a in self.answers.get(".".join(name), [])] if kind == b"\x00\x01" else []
        known = ".".join(name) in self.answers
        time.sleep(self.delay)
        out = q[:2] + (b"\x81\x80" if known else b"\x81\x83") + b"\x00\x01" + len(found).to_bytes(2, "big") + bytes(4)
        out += q[12:at + 5]
        for a in found:
            out += b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04" + a
        try:
            self.sock.sendto(out, peer)
        except OSError:
            pass

    def close(self):
        self.closed = True
        self.sock.close()


def outer_address():
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
            return s.getsockname()[0]
        except OSError:
            return None


@pytest.fixture
def names(tmp_path):
    """names(answers, delay): a gateway binary whose resolver is a server of ours, the server, and a service to reach."""
    address = outer_address()
    if os.geteuid() != 0 or not address or address.startswith("127."):
        pytest.skip("needs root, and an address that is not loopback")
    things = []

    def make(answers, delay=0.0):
        resolver = "127.%d.%d.53" % (os.getpid() % 250, random.randrange(1, 250))
        n = Names(resolver, {k: [a.replace("@", address) for a in v] for k, v in answers.items()}, delay)
        e = Echo(host=address)
        things.extend([n, e])
        (tmp_path / "resolv.conf").write_text("nameserver %s\n" % resolver)
        (tmp_path / "hosts").write_text("%s in-the-hosts-file.test\n" % address)
        binary = tmp_path / "postern"
        binary.write_text('#!/bin/sh\nexec unshare -m sh -c \'mount --bind "%s/resolv.conf" /etc/resolv.conf && '
                          'mount --bind "%s/hosts" /etc/hosts && exec "%s" "$@"\' sh "$@"\n' % (tmp_path, tmp_path, POSTERN))
        binary.chmod(0o755)
        if subprocess.run([str(binary), "--version"], capture_output=True).returncode:
            pytest.skip("cannot have mounts of its own")
        return str(binary), n, e
    yield make
    for t in things:
        t.close()


def named(gateway, binary, allow):
    return gateway(config("http://127.0.0.1:1", listener='connect: { allow = [ %s ]; };' % ", ".join(
        '"%s"' % a for a in allow)), binary=binary)


def test_names_are_resolved_when_they_are_asked_for(gateway, names):
    binary, n, e = names({"api.vendor.test": ["@"], "deep.api.vendor.test": ["@"]})
    g = named(gateway, binary, ["*.vendor.test:%d" % e.port, "in-the-hosts-file.test:%d" % e.port])
    for name in ("api.vendor.test", "DEEP.api.Vendor.test", "in-the-hosts-file.test"):
        c, r = connect(g, "%s:%d" % (name, e.port))
        assert r.status == 200, name
        c.send("hello")
        assert c.read_exact(5) == b"hello"
        c.close()
    assert ("api.vendor.test", 1) in n.asked
    asked = len(n.asked)
    refused(g, "vendor.test:%d" % e.port)
    assert len(n.asked) == asked, "what is not allowed is not even looked up"
    refused(g, "unknown.vendor.test:%d" % e.port, 502, "upstream_dns")


def test_a_name_may_not_lead_inside(gateway, names):
    """DNS rebinding: the address that is connected to is the one that was looked at."""
    inside = {"a.vendor.test": ["127.0.0.1"], "b.vendor.test": ["169.254.169.254"], "c.vendor.test": ["0.0.0.0"],
              "d.vendor.test": ["127.0.0.1", "@"]}
    binary, _, e = names(inside)
    g = named(gateway, binary, ["*.vendor.test:%d" % e.port])
    for name in ("a", "b", "c"):
        refused(g, "%s.vendor.test:%d" % (name, e.port), 403, "connect_local")
    c, r = connect(g, "d.vendor.test:%d" % e.port)
    assert r.status == 200
    wait_for(lambda: e.accepted == 1)


def test_the_next_address_when_one_does_not_answer(gateway, names):
    binary, _, e = names({"two.vendor.test": ["127.0.0.1", "@", "@"]})
    e.close()
    g = named(gateway, binary, ["*.vendor.test:%d" % e.port])
    refused(g, "two.vendor.test:%d" % e.port, 502, "connect_refused")


def test_a_slow_resolver_holds_up_nobody_else(gateway, names):
    binary, n, e = names({"slow.vendor.test": ["@"]}, delay=1.0)
    g = named(gateway, binary, ["*.vendor.test:%d" % e.port, "%s:%d" % (outer_address(), e.port)])
    slow = [g.client() for _ in range(5)]
    for c in slow:
        c.send("CONNECT slow.vendor.test:%d HTTP/1.1\r\nHost: slow.vendor.test:%d\r\n\r\n" % (e.port, e.port))
    gone = g.client()
    gone.send("CONNECT slow.vendor.test:%d HTTP/1.1\r\nHost: slow.vendor.test:%d\r\n\r\n" % (e.port, e.port))
    wait_for(lambda: n.asked)
    gone.reset()
    began = time.monotonic()
    c, r = connect(g, "%s:%d" % (outer_address(), e.port))
    assert r.status == 200 and time.monotonic() - began < 0.5
    assert [c.head().status for c in slow] == [200] * 5
    wait_for(lambda: e.accepted == 6)
    time.sleep(0.2)
    assert e.accepted == 6, "who left was not connected"


def test_a_resolver_that_is_silent(gateway, names):
    binary, n, e = names({"never.vendor.test": ["@"]}, delay=60)
    g = named(gateway, binary, ["*.vendor.test:%d" % e.port])
    with g.client() as c:
        c.send("CONNECT never.vendor.test:%d HTTP/1.1\r\nHost: never.vendor.test:%d\r\n\r\n" % (e.port, e.port))
        assert_problem(c.response(), {502, 504}, {"upstream_dns", "connect_timeout"})


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name, value):
    """A header line without any table (RFC 7541 §6.2.2)."""
    return b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def test_over_http2(gateway, echo):
    """A tunnel is one stream of many: it ends, the connection goes on."""
    target = "127.0.0.1:%d" % echo.port
    g = gateway(config("http://127.0.0.1:1", listener='http = [ "h2", "1.1" ]; connect: { allow = [ "%s" ]; };' % target))
    with g.client() as c:
        c.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", frame(4, 0, 0))

        def until(kind, stream):
            while True:
                head = c.read_exact(9)
                body = c.read_exact(int.from_bytes(head[:3], "big"))
                if head[3] == 4 and not head[4] & 1:
                    c.send(frame(4, 1, 0))
                if head[3] == kind and int.from_bytes(head[5:9], "big") == stream:
                    return head[4], body
        for stream, where, status in ((1, target, b"\x88"), (3, "127.0.0.1:1", b"\x08\x03403"), (5, target, b"\x88")):
            c.send(frame(1, 4, stream, literal(":method", "CONNECT") + literal(":authority", where)))
            flags, block = until(1, stream)
            assert not flags & 1 and (block.startswith(status) or b"403" in block or stream != 3), block
            if stream == 3:
                continue
            c.send(frame(0, 0, stream, b"hello"))
            assert until(0, stream) == (0, b"hello")
            c.send(frame(0, 1, stream))
            got = b""
            while True:
                flags, data = until(0, stream)
                got += data
                if flags & 1:
                    break
            assert got == b"<end>"
    assert echo.accepted == 2


def test_ipv6(gateway):
    e = Echo(socket.AF_INET6, "::1")
    try:
        g = proxy(gateway, ["[::1]:%d" % e.port])
        c, r = connect(g, "[::1]:%d" % e.port)
        assert r.status == 200
        c.send("six")
        assert c.read_exact(3) == b"six"
        refused(g, "[::2]:%d" % e.port)
    finally:
        e.close()
