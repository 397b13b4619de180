"""TLS towards clients and targets, with real certificates and OpenSSL's own client."""
import base64
import hashlib
import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from certs import CA
from harness import SANITIZED, SCALE, assert_problem, config, reply, run, wait_for


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    ca = CA(tmp_path_factory.mktemp("ca"))
    ca.sign("api", "DNS:api.example,DNS:test.example,IP:127.0.0.1")
    ca.sign("api-rsa", "DNS:api.example", rsa=True)
    ca.sign("wild", "DNS:*.wild.example")
    ca.sign("old", "DNS:api.example", days=-1)
    return ca


def pair(ca, name):
    return 'cert = "%s"; key = "%s";' % (ca.path(name + ".pem"), ca.path(name + ".key"))


def tls(ca, *names, more=""):
    if len(names) == 1:
        return "tls: { %s %s };" % (pair(ca, names[0]), more)
    return "tls: { certs = ( %s ); %s };" % (", ".join("{ %s }" % pair(ca, n) for n in names), more)


HELLO = '{ match = "* /*"; respond = 200; }'


def context(ca, alpn=None, **kw):
    c = ssl.create_default_context(cafile=ca.pem)
    c.set_alpn_protocols(alpn or ["http/1.1"])
    for name, value in kw.items():
        setattr(c, name, value)
    return c


def connect(g, c, name="api.example", session=None):
    s = c.wrap_socket(socket.create_connection(("127.0.0.1", g.port), timeout=10), server_hostname=name, session=session)
    return s


def ask(s, path="/", host="api.example", more=""):
    s.sendall(("GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (path, host, more)).encode())
    got = b""
    while b"\r\n\r\n" not in got:
        piece = s.recv(65536)
        assert piece, got
        got += piece
    head, body = got.split(b"\r\n\r\n", 1)
    n = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
    while len(body) < n:
        piece = s.recv(65536)
        assert piece, (n, len(body))
        body += piece
    return int(head.split()[1]), head, body


def test_answers(gateway, origin, ca):
    o = origin()
    g = gateway(config(o, listener=tls(ca, "api")))
    with connect(g, context(ca)) as s:
        assert s.version() == "TLSv1.3"
        for _ in range(3):
            status, _, body = ask(s, "/a")
            assert status == 200 and body == b"GET /a"
    seen = o.requests[-1]
    assert seen.get("X-Forwarded-Proto") == "https" and seen.get("X-Forwarded-For") == "127.0.0.1"


def test_large_bodies_both_ways(gateway, origin, ca):
    """What does not fit into a record, a send buffer, a reading."""
    big = os.urandom(1 << 20) * 5
    o = origin(lambda r: reply(200, r.body or big))
    g = gateway(config(o, listener=tls(ca, "api")))
    file = g.path("up")
    with open(file, "wb") as f:
        f.write(big)
    r = subprocess.run(["curl", "-sS", "--cacert", ca.pem, "--resolve", "api.example:%d:127.0.0.1" % g.port, "--data-binary", "@" + file,
                        "https://api.example:%d/" % g.port], stdout=subprocess.PIPE, timeout=60)
    assert r.returncode == 0 and r.stdout == big


def test_versions(gateway, ca):
    g = gateway(config(routes=HELLO, listener=tls(ca, "api")))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with connect(g, context(ca, maximum_version=version)) as s:
            assert ask(s)[0] == 200
    status, _, _ = run("s_client", "-connect", "127.0.0.1:%d" % g.port, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", binary="openssl", input=b"")
    assert status != 0
    g.reload(config(routes=HELLO, listener=tls(ca, "api", more='min = "1.3";')))
    with pytest.raises(ssl.SSLError):
        connect(g, context(ca, maximum_version=ssl.TLSVersion.TLSv1_2))


def name_of(s):
    return dict(x[0] for x in s.getpeercert()["subject"])["commonName"]


def test_certificates_by_name(gateway, ca):
    g = gateway(config(routes=HELLO, listener=tls(ca, "api", "wild", "api-rsa")))
    with connect(g, context(ca)) as s:
        assert name_of(s) == "api"
    with connect(g, context(ca), "a.wild.example") as s:
        assert name_of(s) == "wild"
    c = context(ca, check_hostname=False)
    for stranger in ("a.b.wild.example", "wild.example", "other.example"):
        with connect(g, c, stranger) as s:
            assert name_of(s) == "api", stranger
    # RSA for who cannot do ECDSA.
    c = context(ca, maximum_version=ssl.TLSVersion.TLSv1_2)
    c.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    with connect(g, c) as s:
        assert name_of(s) == "api-rsa" and s.cipher()[0] == "ECDHE-RSA-AES128-GCM-SHA256"


def test_a_reload_brings_new_certificates(gateway, ca, tmp_path):
    """The files are replaced, HUP: new connections see the new one, those that are there go on."""
    for kind in ("pem", "key"):
        with open(ca.path("api." + kind)) as f, open(str(tmp_path / ("c." + kind)), "w") as to:
            to.write(f.read())
    os.chmod(str(tmp_path / "c.key"), 0o600)
    conf = config(routes=HELLO, workers=2, listener='tls: { cert = "%s"; key = "%s"; };' % (tmp_path / "c.pem", tmp_path / "c.key"))
    g = gateway(conf)
    old = connect(g, context(ca))
    serial = old.getpeercert()["serialNumber"]
    assert ask(old)[0] == 200
    ca.sign("api", "DNS:api.example", file="api2")
    for kind in ("pem", "key"):
        with open(ca.path("api2." + kind)) as f, open(str(tmp_path / ("c." + kind)), "w") as to:
            to.write(f.read())
    g.reload()
    for _ in range(8):
        with connect(g, context(ca)) as s:
            assert s.getpeercert()["serialNumber"] != serial
            assert ask(s)[0] == 200
    assert ask(old)[0] == 200
    old.close()
    # A pair that does not match: said, and the running one stays.
    with open(ca.path("api.key")) as f, open(str(tmp_path / "c.key"), "w") as to:
        to.write(f.read())
    g.signal(signal.SIGHUP)
    g.wait_log("c.key")
    with connect(g, context(ca)) as s:
        assert ask(s)[0] == 200


def resumed(g, c, session):
    with connect(g, c, session=session) as s:
        assert ask(s)[0] == 200
        return s.session_reused, s.session


def test_resumption_on_any_worker_and_after_reloads(gateway, ca):
    """Tickets are good at every worker, after reloads, and after workers and the master were replaced."""
    conf = config(routes=HELLO, workers=3, listener=tls(ca, "api"))
    g = gateway(conf)
    for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
        c = context(ca, minimum_version=ssl.TLSVersion.TLSv1_2, maximum_version=version)
        again, session = resumed(g, c, None)
        assert not again
        for _ in range(12):
            again, session = resumed(g, c, session)
            assert again
        g.reload()
        again, session = resumed(g, c, session)
        assert again
        for i in range(3):
            g.kill_worker(i)
        again, session = resumed(g, c, session)
        assert again
    g.stop()
    g.start()
    assert resumed(g, c, session)[0]


def test_no_tickets(gateway, ca):
    g = gateway(config(routes=HELLO, listener=tls(ca, "api", more="tickets = false;")))
    c = context(ca)
    again, session = resumed(g, c, None)
    assert not resumed(g, c, session)[0]


def test_plaintext_and_garbage(gateway, ca):
    """Who does not speak TLS is refused, and nobody else notices."""
    g = gateway(config(routes=HELLO, listener=tls(ca, "api")))
    kept = connect(g, context(ca))
    for data in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 100, b"\x80" * 3000, b"\n"):
        with socket.create_connection(("127.0.0.1", g.port), timeout=10) as s:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            while s.recv(65536):
                pass
    assert ask(kept)[0] == 200
    wait_for(lambda: g.counter("tls_failed_total") >= 3, "failures to be counted")
    kept.close()


def test_a_handshake_has_a_deadline(gateway, ca):
    g = gateway(config(routes=HELLO, listener=tls(ca, "api", more='handshake = "300ms";')))
    with socket.create_connection(("127.0.0.1", g.port), timeout=10 * SCALE) as s:
        s.sendall(b"\x16\x03\x01\x02\x00\x01")
        began = time.monotonic()
        assert s.recv(100) == b""
        assert time.monotonic() - began < 5 * SCALE
    with connect(g, context(ca)) as s:
        assert ask(s)[0] == 200


def test_check_says_what_is_wrong(gateway, ca, tmp_path):
    def errors(text):
        file = str(tmp_path / "c.conf")
        with open(file, "w") as f:
            f.write(text.replace("@PORT@", "1").replace("@DIR@", str(tmp_path)))
        status, out, err = run("check", "-c", file)
        return status, err
    code, said = errors(config(routes=HELLO, listener="tls: { cert = \"%s\"; key = \"%s\"; };" % (ca.path("api.pem"), ca.path("wild.key"))))
    assert code == 1 and "550" in said, said
    code, said = errors(config(routes=HELLO, listener=tls(ca, "old")))
    assert "expired" in said, said
    assert "PRIVATE" not in said


# ---- towards targets

class TlsOrigin:
    """An HTTPS server of Python's."""

    def __init__(self, ca, name="api", client_ca=None, minimum=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(ca.path(name + ".pem"), ca.path(name + ".key"))
        if client_ca:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(client_ca)
        self.sni = []
        self.context.sni_callback = lambda sock, name, c: self.sni.append(name)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.connections = 0
        self.handshakes = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                s, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        try:
            s = self.context.wrap_socket(s, server_side=True)
            self.handshakes += 1
            buf = b""
            while True:
                while b"\r\n\r\n" not in buf:
                    piece = s.recv(65536)
                    if not piece:
                        return
                    buf += piece
                _, buf = buf.split(b"\r\n\r\n", 1)
                who = s.getpeercert() or {}
                name = dict(x[0] for x in who.get("subject", ())).get("commonName", "-")
                body = ("hello %s" % name).encode()
                s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        except (OSError, ssl.SSLError):
            pass
        finally:
            s.close()

    def close(self):
        self.socket.close()


@pytest.fixture
def https(request):
    made = []

    def make(*a, **kw):
        made.append(TlsOrigin(*a, **kw))
        return made[-1]
    yield make
    for o in made:
        o.close()


def to(o, options, more=""):
    return config(upstreams='origin: { targets = [ "https://127.0.0.1:%d" ]; tls: { %s }; %s };' % (o.port, options, more))


def test_a_target_is_verified(gateway, ca, https, tmp_path):
    o = https(ca)
    g = gateway(to(o, 'ca = "%s"; sni = "api.example";' % ca.pem))
    for _ in range(3):
        assert g.get("/").body == b"hello -"
    assert o.connections == 1 and o.sni == ["api.example"]
    # The name of the target itself is an address that the certificate has.
    g.reload(to(o, 'ca = "%s";' % ca.pem))
    assert g.get("/").status == 200
    for options, reason in (('ca = "%s"; sni = "other.example";' % ca.pem, "upstream_tls_hostname"),
                            ('sni = "api.example";', "upstream_tls_unknown_ca")):
        g.reload(to(o, options))
        assert_problem(g.get("/"), 502, reason)
    g.reload(to(o, 'verify = false; sni = "api.example";'))
    assert g.get("/").status == 200
    old = https(ca, "old")
    g.reload(to(old, 'ca = "%s"; sni = "api.example";' % ca.pem))
    assert_problem(g.get("/"), 502, "upstream_tls_expired")


def test_our_certificate(gateway, ca, https, tmp_path):
    """Who is not known says so after the handshake (TLS 1.3): a reason all the same."""
    ca.sign("us", "DNS:us.example")
    stranger = CA(tmp_path / "stranger").sign("us", "DNS:us.example")
    o = https(ca, client_ca=ca.pem)
    own = 'client_cert = "%s"; client_key = "%s";' % (ca.path("us.pem"), ca.path("us.key"))
    g = gateway(to(o, 'ca = "%s"; %s' % (ca.pem, own)))
    assert g.get("/").body == b"hello us"
    g.reload(to(o, 'ca = "%s";' % ca.pem))
    assert_problem(g.get("/"), 502, "upstream_tls_client_cert")
    g.reload(to(o, 'ca = "%s"; client_cert = "%s"; client_key = "%s";' % (ca.pem, *stranger)))
    assert_problem(g.get("/"), 502, "upstream_tls_client_cert")


def test_a_pinned_key(gateway, ca, https):
    der = subprocess.run("openssl x509 -in %s -pubkey -noout | openssl pkey -pubin -outform der" % ca.path("api.pem"), shell=True,
                         stdout=subprocess.PIPE).stdout
    pin = "sha256:" + base64.b64encode(hashlib.sha256(der).digest()).decode()
    other = "sha256:" + base64.b64encode(hashlib.sha256(b"x").digest()).decode()
    o = https(ca)
    g = gateway(to(o, 'ca = "%s"; pin = [ "%s", "%s" ];' % (ca.pem, other, pin)))
    assert g.get("/").status == 200
    g.reload(to(o, 'ca = "%s"; pin = [ "%s" ];' % (ca.pem, other)))
    assert_problem(g.get("/"), 502, "upstream_tls_certificate")


def test_a_target_without_tls(gateway, ca, origin):
    def script(conn):
        conn.sock.recv(1)
        conn.sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    o = origin(script=script)
    g = gateway(config(upstreams='origin: { targets = [ "https://127.0.0.1:%d" ]; tls: { ca = "%s"; }; };' % (o.port, ca.pem)))
    assert_problem(g.get("/"), 502, "upstream_tls_failed")
    assert not o.requests


@pytest.mark.parametrize("secure", [True, False], ids=["tls", "cleartext"])
def test_h2_clients_notice_no_reload(gateway, origin, ca, secure):
    """h2load on kept connections, and a reload every quarter of a second: nothing closed, nothing failed."""
    o = origin()
    listener = 'http = [ "h2", "1.1" ]; ' + (tls(ca, "api") if secure else "")
    g = gateway(config(o, workers=2, listener=listener))
    load = subprocess.Popen(["h2load", "-D", "3", "-c", "8", "-m", "4", "-t", "1",
                             "%s://127.0.0.1:%d/" % ("https" if secure else "http", g.port)],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    began = time.monotonic()
    n = 0
    while time.monotonic() < began + 2.5:
        n += 1
        g.reload(config(o, workers=2, listener=listener, gateway="limits: { headers = %d; };" % (90 + n)))
        time.sleep(0.25)
    said = load.communicate(timeout=60 * SCALE)[0].decode()
    m = re.search(r"requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", said)
    assert m, said
    done, succeeded, failed, errored, timeout = map(int, m.groups())
    assert n >= (2 if SANITIZED else 4) and done > 100 and (failed, errored, timeout) == (0, 0, 0) and succeeded == done, said
    assert g.counter("connections_total") <= 8 + 2, said


def private_number(ca, name):
    """The number that a private key is, as OpenSSL has it in memory: 64-bit words, the lowest first."""
    text = subprocess.run(["openssl", "pkey", "-in", ca.path(name + ".key"), "-text", "-noout"], stdout=subprocess.PIPE).stdout.decode()
    digits = re.search(r"(?:priv|prime1):\s*((?:[0-9a-f]{2}:?\s*)+)", text).group(1)
    number = int(re.sub(r"[^0-9a-f]", "", digits), 16)
    return number.to_bytes((number.bit_length() + 63) // 64 * 8, "little")


@pytest.mark.skipif(SANITIZED, reason="a process is to die of a signal: a sanitizer would call it a finding")
def test_no_key_in_a_core(gateway, origin, ca):
    """Whoever asks for cores gets them, without the keys."""
    with open("/proc/sys/kernel/core_pattern") as f:
        pattern = f.read().strip()
    if "/" in pattern or pattern.startswith("|") or not resource.getrlimit(resource.RLIMIT_CORE)[1]:
        pytest.skip("cores go elsewhere: " + pattern)
    g = gateway(config(origin(), listener=tls(ca, "api", "api-rsa"), gateway="core_dumps = true;"))
    with connect(g, context(ca)) as s:
        assert ask(s)[0] == 200
    g.stable = False
    os.kill(g.workers()[0], signal.SIGSEGV)
    core = os.path.join(g.dir, wait_for(lambda: [f for f in os.listdir(g.dir) if f.startswith("core")], "a core")[0])
    old = -1
    while os.path.getsize(core) != old:
        old = os.path.getsize(core)
        time.sleep(0.5)
    with open(core, "rb") as f:
        data = f.read()
    assert len(data) > 100000 and data[:4] == b"\x7fELF"
    for name in ("api", "api-rsa"):
        secret = private_number(ca, name)
        assert secret not in data and secret[::-1] not in data
        with open(ca.path(name + ".key"), "rb") as f:
            assert f.read().splitlines()[1] not in data
