"""The deployment patterns of doc/patterns: each sample as it is, with its own addresses, in network namespaces: whoever
calls, the gateway, whoever answers. Real certificates (conf/samples/certs.sh), real curl, haproxy as the firewall."""
import ctypes
import http.server
import itertools
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import urllib.parse

import pytest

from harness import POSTERN, ROOT, SCALE, Gateway, wait_for

SAMPLES = os.path.join(ROOT, "conf", "samples")
LIBC = ctypes.CDLL(None, use_errno=True)
NEWNET = 0x40000000
numbers = itertools.count(1)


def may_have_namespaces():
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("curl") or not shutil.which("openssl"):
        return False
    name = "postern-%d-try" % os.getpid()
    if subprocess.run(["ip", "netns", "add", name], stderr=subprocess.DEVNULL).returncode:
        return False
    subprocess.run(["ip", "netns", "del", name])
    return True


pytestmark = pytest.mark.skipif(not may_have_namespaces(), reason="network namespaces need root, ip, curl and openssl")


class Net:
    """Namespaces, and wires between them. Who has no wire to somebody cannot reach him."""

    def __init__(self):
        self.id = "postern-%d-%d" % (os.getpid(), next(numbers))
        self.names, self.wires = {}, 0

    def ns(self, name):
        if name not in self.names:
            full = self.names[name] = "%s-%s" % (self.id, name)
            self.ip("netns", "add", full)
            self.ip("-n", full, "link", "set", "lo", "up")
        return self.names[name]

    def ip(self, *args):
        subprocess.run(["ip", *args], check=True)

    def wire(self, a, ours, b, theirs):
        ends = ["v%d-%d%s" % (os.getpid() % 100000, next(numbers), end) for end in "ab"]
        self.ip("link", "add", ends[0], "netns", self.ns(a), "type", "veth", "peer", "name", ends[1], "netns", self.ns(b))
        for name, end, own, other in ((a, ends[0], ours, theirs), (b, ends[1], theirs, ours)):
            self.ip("-n", self.ns(name), "link", "set", end, "up")
            for address in own:
                self.ip("-n", self.ns(name), "address", "add", address + "/32", "dev", end)
            for address in other:
                self.ip("-n", self.ns(name), "route", "add", address + "/32", "dev", end, "src", own[0])

    def hosts(self, name, **entries):
        """What names mean there: `ip netns exec` puts it in the place of /etc/hosts."""
        dir = os.path.join("/etc/netns", self.ns(name))
        os.makedirs(dir, exist_ok=True)
        with open(os.path.join(dir, "hosts"), "w") as f:
            f.write("127.0.0.1 localhost\n" + "".join("%s %s\n" % (a, n) for n, a in entries.items()))

    def enter(self, name):
        fd = os.open("/run/netns/" + self.ns(name) if name else "/proc/%d/ns/net" % os.getppid(), os.O_RDONLY)
        try:
            assert LIBC.setns(fd, NEWNET) == 0, os.strerror(ctypes.get_errno())
        finally:
            os.close(fd)

    def socket(self, name, address):
        """A listening socket in there; a socket stays where it was made."""
        here = os.open("/proc/self/task/%d/ns/net" % threading.get_native_id(), os.O_RDONLY)
        try:
            self.enter(name)
            return socket.create_server(address)
        finally:
            assert LIBC.setns(here, NEWNET) == 0
            os.close(here)

    def run(self, name, *command, **kw):
        return subprocess.run(["ip", "netns", "exec", self.ns(name), *command], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, **kw)

    def start(self, name, *command, **kw):
        return subprocess.Popen(["ip", "netns", "exec", self.ns(name), *command], **kw)

    def close(self):
        for full in self.names.values():
            subprocess.run(["ip", "netns", "del", full])
            shutil.rmtree(os.path.join("/etc/netns", full), ignore_errors=True)


class Server:
    """Answers with what it was asked, as JSON, in a namespace; `answer(request)` may give (status, headers, body)."""

    def __init__(self, net, ns, address, cert=None, client_ca=None, answer=None):
        server = self
        self.requests = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True

            def any(self):
                self.body = self.rfile.read(int(self.headers.get("content-length") or 0))
                server.requests.append(self)
                status, headers, body = answer(self) if answer else (200, {}, json.dumps({
                    "path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}}).encode())
                self.send_response(status)
                for k, v in headers.items():
                    self.send_header(k, v)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = any

            def log_message(self, *args):
                pass

        class Http(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass

        self.httpd = Http(address, Handler, bind_and_activate=False)
        self.httpd.socket.close()
        self.httpd.socket = net.socket(ns, address)
        if cert:
            c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            c.load_cert_chain(cert + ".pem", cert + ".key")
            if client_ca:
                c.verify_mode = ssl.CERT_REQUIRED
                c.load_verify_locations(client_ca)
            self.httpd.socket = c.wrap_socket(self.httpd.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()

    def close(self):
        self.httpd.shutdown()
        self.httpd.server_close()


class Pattern:
    """A sample with its certificates, the network around it, and what runs there."""

    def __init__(self, dir, certs):
        self.dir, self.net, self.things, self.gateway = str(dir), Net(), [], None
        shutil.copytree(certs, self.path("tls"))

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def tls(self, name):
        return self.path("tls", name)

    def server(self, *args, **kw):
        s = Server(self.net, *args, **kw)
        self.things.append(s)
        return s

    def start(self, sample):
        """As it stands in conf/samples, but for where logs and the state lie."""
        with open(os.path.join(SAMPLES, sample)) as f:
            text = f.read()
        text = text.replace("/var/log/postern", self.dir).replace("/run/postern", self.path("run"))
        text = text.replace('  rundir = "%s";\n' % self.path("run"), "")
        text = text.replace("gateway: {", 'gateway: { rundir = "%s"; statedir = "%s";' % (self.path("run"), self.path("state")), 1)
        binary = self.path("postern-there")
        with open(binary, "w") as f:
            f.write('#!/bin/sh\nexec ip netns exec %s %s "$@"\n' % (self.net.ns("gw"), POSTERN))
        os.chmod(binary, 0o755)
        self.gateway = Gateway(text, start=False, binary=binary, dir=self.dir)
        self.gateway.start()
        return self.gateway

    def curl(self, ns, url, *args, cert=None, resolve=None):
        """Status and body (JSON if it is); status 0: no answer. `cert`: the client's; `resolve`: where the host is."""
        u = urllib.parse.urlsplit(url)
        port = u.port or {"http": 80, "https": 443}[u.scheme]
        more = ["--connect-to", "::%s:%d" % (resolve, port)] if resolve else []
        if cert:
            more += ["--cert", self.tls(cert + ".pem"), "--key", self.tls(cert + ".key")]
        p = self.net.run(ns, "curl", "-sS", "-m", str(int(15 * SCALE)), "--cacert", self.tls("ca.pem"), "-w", "\n%{http_code}",
                         *more, *args, url, env={"PATH": os.environ["PATH"]})
        body, _, status = p.stdout.rpartition(b"\n")
        self.error = p.stderr.decode(errors="replace")
        self.error = "%s\n%s\n%s" % (url, body.decode(errors="replace"), self.error)
        try:
            return int(status or 0), json.loads(body)
        except ValueError:
            return int(status or 0), {"path": None, "headers": {}, "text": body.decode(errors="replace")}

    def close(self):
        if self.gateway:
            self.gateway.stop()
        for t in self.things:
            t.close() if hasattr(t, "close") else (t.terminate(), t.wait())
        self.net.close()


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    dir = str(tmp_path_factory.mktemp("certs") / "tls")
    subprocess.run([os.path.join(SAMPLES, "certs.sh"), dir], check=True)
    return dir


@pytest.fixture
def pattern(tmp_path, certs):
    p = Pattern(tmp_path, certs)
    try:
        yield p
    finally:
        p.close()


# ---- internal to internal

def test_internal(pattern):
    net = pattern.net
    net.wire("gw", ["10.0.0.5"], "caller", ["10.0.9.7"])
    net.wire("gw", ["10.0.0.6"], "services", ["10.0.1.11", "10.0.1.12", "10.0.2.11"])
    orders = [pattern.server("services", (a, 8080)) for a in ("10.0.1.11", "10.0.1.12")]
    billing = pattern.server("services", ("10.0.2.11", 9443), cert=pattern.tls("inside"), client_ca=pattern.tls("ca.pem"))
    pattern.start("internal.conf")

    def ask(url, *args, cert="gateway", **kw):
        return pattern.curl("caller", url, *args, cert=cert, resolve="10.0.0.5", **kw)
    status, body = ask("https://orders.internal:8443/v1/orders/7")
    assert (status, body["path"]) == (200, "/orders/7"), pattern.error
    # The service is told who called.
    assert "CN=gateway" in body["headers"]["x-forwarded-client-cert"].replace(" ", "")
    assert orders[0].requests or orders[1].requests
    # Nobody without a certificate of the house.
    assert ask("https://orders.internal:8443/v1/orders/7", cert=None)[0] == 0
    assert ask("https://orders.internal:8443/v1/orders/7", cert="stranger")[0] == 0
    # Callers do not reach the services past the gateway.
    assert pattern.curl("caller", "http://10.0.1.11:8080/", "--connect-timeout", "1")[0] == 0
    # TLS to the target as well, with our certificate; who may close a month is decided by the address.
    status, body = ask("https://billing.internal:8443/v1/months/2026-10/close", "-X", "POST")
    assert status == 200 and billing.requests[0].connection.getpeercert()["subject"][-1][0] == ("commonName", "gateway")
    # On the host itself without TLS, by a socket.
    status, body = pattern.curl("gw", "http://orders.internal/v1/orders/8", "--unix-socket", pattern.path("run", "local.sock"))
    assert (status, body["path"]) == (200, "/orders/8"), pattern.error
    assert "x-forwarded-client-cert" not in body["headers"]
    wait_for(lambda: "CN=gateway" in open(pattern.path("access.log")).read(), "who called, in the log")


def test_sidecar_lets_in_and_out_what_is_meant(pattern):
    pattern.net.wire("gw", ["10.0.0.5"], "caller", ["10.0.9.7"])
    own = pattern.server("gw", ("127.0.0.1", 8080))
    pattern.start("sidecar.conf")
    status, body = pattern.curl("caller", "https://billing.internal:8443/v1/months", "-H", "x-caller: admin", cert="gateway",
                                resolve="10.0.0.5")
    assert (status, body["path"]) == (200, "/v1/months"), pattern.error
    assert "CN=gateway" in body["headers"]["x-caller"] and "admin" not in body["headers"]["x-caller"]
    assert pattern.curl("caller", "https://billing.internal:8443/v1/months", resolve="10.0.0.5")[0] == 0
    # The service itself listens on the loopback only.
    assert pattern.curl("caller", "http://10.0.0.5:8080/", "--connect-timeout", "1")[0] == 0
    assert pattern.curl("gw", "http://billing.internal:8001/v1/months", resolve="127.0.0.1")[0] == 404
    assert len(own.requests) == 1


ORDERS = """
global
  log stderr local0
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend f
  bind 10.0.1.11:8443,10.0.1.12:8443 ssl crt %(dir)s/server.pem ca-file %(dir)s/ca.pem verify required alpn h2
  http-request return status 200 content-type text/plain lf-string "%%HV %%[path] %%[ssl_c_s_dn(CN)]"
"""


def haproxy(pattern, ns, text, cert):
    with open(pattern.tls("server.pem"), "w") as f:
        f.write(open(pattern.tls(cert + ".pem")).read() + open(pattern.tls(cert + ".key")).read())
    with open(pattern.path("haproxy.cfg"), "w") as f:
        f.write(text % {"dir": pattern.path("tls")})
    pattern.things.append(pattern.net.start(ns, "haproxy", "-db", "-f", pattern.path("haproxy.cfg"),
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))


@pytest.mark.skipif(not shutil.which("haproxy"), reason="no haproxy")
def test_sidecar_speaks_http2_to_the_others(pattern):
    pattern.net.wire("gw", ["10.0.0.5"], "others", ["10.0.1.11", "10.0.1.12"])
    haproxy(pattern, "others", ORDERS, "inside")
    pattern.start("sidecar.conf")

    def ask(*args):
        return pattern.curl("gw", "http://orders.internal:8001/v1/orders", *args, resolve="127.0.0.1")[1]["text"]
    wanted = "HTTP/2.0 /v1/orders gateway"
    wait_for(lambda: ask() == wanted, "an answer of haproxy")
    assert ask("--http2-prior-knowledge") == wanted, pattern.error


# ---- ingress: TLS ends here

def ingress(pattern):
    pattern.net.wire("gw", ["198.51.100.5"], "outside", ["203.0.113.9"])
    pattern.net.wire("gw", ["10.0.0.6"], "inside", ["10.0.1.11", "10.0.1.12"])
    return [pattern.server("inside", (a, 8080)) for a in ("10.0.1.11", "10.0.1.12")]


def test_ingress_mtls(pattern):
    ingress(pattern)
    g = pattern.start("ingress-mtls.conf")

    def ask(url, *args, **kw):
        return pattern.curl("outside", url, *args, resolve="198.51.100.5", **kw)
    status, _ = ask("http://api.example.com/v1/catalog/7")
    assert status == 308
    forged = ["-H", "x-partner: acme", "-H", "X-Forwarded-Client-Cert: Subject=acme", "-H", "Client-Cert: :AA==:"]
    for versions in (["--http1.1"], ["--http2"], ["--tls-max", "1.2"], ["--tlsv1.3"]):
        status, body = ask("https://api.example.com/v1/catalog/7", *versions, *forged)
        assert (status, body["path"]) == (200, "/v1/catalog/7"), pattern.error
        assert not {"x-partner", "x-forwarded-client-cert", "client-cert"} & set(body["headers"]), body
        assert body["headers"]["x-forwarded-for"] == "203.0.113.9" and body["headers"]["x-forwarded-proto"] == "https"
    p = pattern.net.run("outside", "curl", "-sSi", "--cacert", pattern.tls("ca.pem"), "--connect-to", "::198.51.100.5:443",
                        "https://api.example.com/healthz")
    assert b"strict-transport-security: max-age=63072000" in p.stdout.lower()
    # RSA for who cannot do ECDSA; the answer of the authority is stapled.
    p = pattern.net.run("outside", "openssl", "s_client", "-connect", "198.51.100.5:443", "-servername", "api.example.com",
                        "-tls1_2", "-sigalgs", "RSA-PSS+SHA256:RSA+SHA256", input=b"")
    assert b"Peer signature type: RSA" in p.stdout, p.stdout + p.stderr
    p = pattern.net.run("outside", "openssl", "s_client", "-connect", "198.51.100.5:443", "-servername", "api.example.com",
                        "-status", input=b"")
    assert b"OCSP Response Status: successful" in p.stdout and b"Peer signature type: ECDSA" in p.stdout, p.stdout
    # Partners: by certificate, that is not revoked.
    orders = "https://api.example.com:8443/v1/orders/7"
    status, body = ask(orders, *forged, cert="partner")
    assert (status, body["path"]) == (200, "/orders/7"), pattern.error
    assert "CN=acme" in body["headers"]["x-partner"] and "Client-Cert".lower() in body["headers"]
    assert "URI=spiffe://acme.example/billing" in body["headers"]["x-forwarded-client-cert"]
    for cert in (None, "former", "stranger"):
        assert ask(orders, cert=cert)[0] == 0, cert
    # A revoked partner is let in again by a shorter list, with a reload: files are part of the revision.
    shutil.copy(pattern.tls("api-rsa.pem"), pattern.tls("api.pem"))
    shutil.copy(pattern.tls("api-rsa.key"), pattern.tls("api.key"))
    os.unlink(pattern.tls("api.ocsp"))
    g.write(open(g.conf).read().replace(' ocsp = "tls/api.ocsp";', ""))
    g.reload()
    p = pattern.net.run("outside", "openssl", "s_client", "-connect", "198.51.100.5:8443", "-servername", "api.example.com",
                        "-cert", pattern.tls("partner.pem"), "-key", pattern.tls("partner.key"), input=b"")
    assert b"Peer signature type: RSA" in p.stdout, p.stdout + p.stderr
    assert pattern.curl("outside", "http://10.0.1.11:8080/", "--connect-timeout", "1")[0] == 0


# ---- ingress: a firewall has ended TLS

FIREWALL = """
global
  log stderr local0
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend f
  bind 198.51.100.1:443 ssl crt %(dir)s/server.pem ca-file %(dir)s/partners-ca.pem verify required
  http-request del-header X-Forwarded-Client-Cert
  http-request set-header X-Forwarded-Client-Cert "Subject=\\"%%[ssl_c_s_dn(,0,rfc2253)]\\""
  default_backend b
backend b
  source 10.20.0.1
  server gw 10.20.0.5:8080 send-proxy-v2
"""


@pytest.mark.skipif(not shutil.which("haproxy"), reason="no haproxy")
def test_ingress_firewall(pattern):
    net = pattern.net
    net.wire("fw", ["198.51.100.1"], "outside", ["203.0.113.9"])
    net.wire("gw", ["10.20.0.5"], "fw", ["10.20.0.1"])
    net.wire("gw", ["10.20.0.5"], "dmz", ["10.20.0.66"])
    net.wire("gw", ["10.0.0.6"], "inside", ["10.0.1.11", "10.0.1.12"])
    for a in ("10.0.1.11", "10.0.1.12"):
        pattern.server("inside", (a, 8080))
    pattern.start("ingress-firewall.conf")
    haproxy(pattern, "fw", FIREWALL, "api")
    url = "https://api.example.com/v1/orders/7"

    def ask(*args, **kw):
        return pattern.curl("outside", url, *args, resolve="198.51.100.1", **kw)
    wait_for(lambda: ask(cert="partner")[0], "the firewall")
    status, body = ask("-H", "X-Forwarded-Client-Cert: Subject=root", "-H", "x-partner: root", cert="partner")
    assert (status, body["path"]) == (200, "/orders/7"), pattern.error
    assert "CN=acme" in body["headers"]["x-partner"] and "root" not in json.dumps(body["headers"])
    assert body["headers"]["x-forwarded-for"] == "203.0.113.9"
    wait_for(lambda: '"203.0.113.9"' in open(pattern.path("access.log")).read(), "the client, in the log")
    assert ask()[0] == 0                                # the firewall refuses
    # Past the firewall: somebody of the same network is closed before HTTP, whatever is said.
    past = "http://api.example.com:8080/v1/orders/7"
    forged = ["-H", "X-Forwarded-Client-Cert: Subject=root"]
    assert pattern.curl("dmz", past, *forged, resolve="10.20.0.5")[0] == 0
    assert pattern.curl("dmz", past, "--haproxy-protocol", *forged, resolve="10.20.0.5")[0] == 0
    # From the firewall, without a certificate: its own checks only.
    assert pattern.curl("fw", "http://api.example.com:8080/healthz", "--haproxy-protocol", resolve="10.20.0.5")[0] == 204
    assert pattern.curl("fw", past, "--haproxy-protocol", resolve="10.20.0.5")[0] == 403


# ---- egress

def token_server(pattern, ns, address):
    def answer(r):
        r.form = dict(urllib.parse.parse_qsl(r.body.decode()))
        return 200, {"content-type": "application/json"}, json.dumps(
            {"access_token": "token-%d" % len(s.requests), "token_type": "Bearer", "expires_in": 3600}).encode()
    s = pattern.server(ns, address, cert=pattern.tls("vendor"), answer=answer)
    return s


def test_egress(pattern):
    net = pattern.net
    net.wire("gw", ["10.0.0.5"], "app", ["10.0.0.9"])
    net.wire("gw", ["198.51.100.5"], "vendors", ["203.0.113.10", "203.0.113.11", "203.0.113.20", "203.0.113.30", "203.0.113.40"])
    net.hosts("gw", **{"api.example.net": "203.0.113.40", "elsewhere.example": "203.0.113.40"})
    rates = pattern.server("vendors", ("203.0.113.10", 443), cert=pattern.tls("vendor"))
    tokens = token_server(pattern, "vendors", ("203.0.113.11", 443))
    payments = pattern.server("vendors", ("203.0.113.20", 8443), cert=pattern.tls("vendor"), client_ca=pattern.tls("ca.pem"))
    sms = pattern.server("vendors", ("203.0.113.30", 443), cert=pattern.tls("vendor"))
    pattern.server("vendors", ("203.0.113.40", 443), cert=pattern.tls("vendor"))
    secret = open(pattern.tls("vendor.secret")).read().strip()
    g = pattern.start("egress.conf")
    app = "http://10.0.0.5:8100"

    for i in range(5):
        status, body = pattern.curl("app", app + "/rates/eur", "-H", "cookie: inside=1", "-H", "Authorization: mine")
        assert (status, body["path"]) == (200, "/v2/eur"), (status, body, pattern.error)
        seen = body["headers"]
        assert seen["host"] == "rates.example.net" and seen["authorization"].startswith("Bearer token-"), seen
        assert "cookie" not in seen and "10.0.0.9" not in json.dumps(seen), seen
    # One token for each worker, at most.
    assert len(tokens.requests) <= len(g.workers()) and len(rates.requests) == 5
    assert tokens.requests[0].path == "/oauth2/token"
    status, body = pattern.curl("app", app + "/payments", "-d", "{}")
    assert status == 200 and body["headers"]["x-api-key"] == secret, (status, body)
    assert payments.requests[0].connection.getpeercert()["subject"][-1][0] == ("commonName", "gateway")
    status, body = pattern.curl("app", app + "/sms", "-d", "hello")
    assert status == 200 and body["headers"]["authorization"].startswith("Basic ") and sms.requests
    # The application has no way of its own.
    assert pattern.curl("app", "https://203.0.113.10/", "-k", "--connect-timeout", "1")[0] == 0
    # But by CONNECT, to what is allowed.
    proxy = ["--proxy", "http://10.0.0.5:3128", "--cacert", pattern.tls("vendor-ca.pem")]
    status, body = pattern.curl("app", "https://api.example.net/x", *proxy)
    assert (status, body["path"]) == (200, "/x"), pattern.error
    assert pattern.curl("app", "https://elsewhere.example/", *proxy)[0] == 0 and "403" in pattern.error, pattern.error
    assert pattern.curl("app", "https://api.example.net:8443/", *proxy)[0] == 0 and "403" in pattern.error, pattern.error
    # No secret is anywhere but where it belongs.
    code = subprocess.run([POSTERN, "-T", "-c", g.conf], stdout=subprocess.PIPE).stdout.decode()
    for text in (code, g.log(), open(pattern.path("egress.log")).read()):
        assert secret not in text and "token-1" not in text and "token-2" not in text


def test_egress_to_somebody_else(pattern):
    """Who has taken over the vendor's address is told nothing."""
    pattern.net.wire("gw", ["10.0.0.5"], "app", ["10.0.0.9"])
    pattern.net.wire("gw", ["198.51.100.5"], "vendors", ["203.0.113.20", "203.0.113.30"])
    wrong = [pattern.server("vendors", ("203.0.113.20", 8443), cert=pattern.tls("expired"), client_ca=pattern.tls("ca.pem")),
             pattern.server("vendors", ("203.0.113.30", 443), cert=pattern.tls("api"))]
    pattern.start("egress.conf")
    status, body = pattern.curl("app", "http://10.0.0.5:8100/payments", "-d", "{}")
    assert status == 502 and body["reason"] == "upstream_tls_expired", body
    status, body = pattern.curl("app", "http://10.0.0.5:8100/sms", "-d", "hello")
    assert status == 502 and body["reason"] == "upstream_tls_unknown_ca", body
    assert not wrong[0].requests and not wrong[1].requests


# ---- both at once

def test_between(pattern):
    net = pattern.net
    net.wire("gw", ["198.51.100.5", "198.51.100.6"], "partner", ["192.0.2.20"])
    net.wire("gw", ["198.51.100.7"], "vendor", ["203.0.113.10", "203.0.113.11"])
    net.ip("-n", net.ns("vendor"), "route", "add", "198.51.100.6/32", "via", "198.51.100.7", "onlink",
           "dev", json.loads(net.run("vendor", "ip", "-j", "link").stdout)[-1]["ifname"])
    vendor = pattern.server("vendor", ("203.0.113.10", 443), cert=pattern.tls("vendor"), client_ca=pattern.tls("ca.pem"))
    token_server(pattern, "vendor", ("203.0.113.11", 443))
    acme = pattern.server("partner", ("192.0.2.20", 443), cert=pattern.tls("partner"), client_ca=pattern.tls("ca.pem"))
    pattern.start("between.conf")
    ask = ["partner", "https://api.example.com/v1/rates/eurusd", "-H", "cookie: a=b", "-H", "x-api-key: mine"]
    status, body = pattern.curl(*ask, cert="partner", resolve="198.51.100.5")
    assert (status, body["path"]) == (200, "/v2/quotes/eurusd"), (status, body, pattern.error)
    seen = body["headers"]
    assert seen["host"] == "rates.example.net" and seen["authorization"].startswith("Bearer token-")
    assert vendor.requests[0].connection.getpeercert()["subject"][-1][0] == ("commonName", "gateway")
    # Nothing of the partner goes to the vendor, nothing of the vendor to the partner.
    told = json.dumps(seen).lower()
    assert not any(word in told for word in ("acme", "192.0.2.20", "cookie", "mine", "client-cert")), seen
    p = net.run("partner", "curl", "-sSi", "--cacert", pattern.tls("ca.pem"), "--cert", pattern.tls("partner.pem"), "--key",
                pattern.tls("partner.key"), "--connect-to", "::198.51.100.5:443", "https://api.example.com/v1/rates/eurusd")
    assert p.stdout.startswith(b"HTTP/") and b"200" in p.stdout[:20] and b"python" not in p.stdout.split(b"\r\n\r\n")[0].lower(), p.stdout
    for cert in (None, "former", "vendor"):
        assert pattern.curl(*ask, cert=cert, resolve="198.51.100.5")[0] == 0, cert
    # The vendor calls back, and only he may.
    hook = "https://hooks.api.example.com/v1/hooks/acme"
    status, body = pattern.curl("vendor", hook, "-d", "{}", cert="vendor", resolve="198.51.100.6")
    assert (status, body["path"]) == (200, "/rates"), (status, body, pattern.error)
    assert acme.requests[0].headers["host"] == "client.acme.example"
    assert acme.requests[0].connection.getpeercert()["subject"][-1][0] == ("commonName", "gateway")
    assert pattern.curl("partner", hook, "-d", "{}", cert="partner", resolve="198.51.100.6")[0] == 0
    assert pattern.curl("partner", hook, "-d", "{}", cert="partner", resolve="198.51.100.5")[0] == 404
