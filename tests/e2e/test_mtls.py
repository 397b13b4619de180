"""Clients by certificate: real curl, real certificates; who it is, told to upstreams, kept from strangers, believed from trust."""
import base64
import json
import shutil
import socket
import struct
import subprocess

import pytest

from harness import SCALE, config, wait_for
from pki import Pki, openssl

pytestmark = pytest.mark.skipif(not shutil.which("curl") or not shutil.which("openssl"), reason="no curl, no openssl")

SUBJECT = "/C=DE/O=Acme, Inc./CN=billing"
SAN = ["URI:spiffe://acme.example/billing", "DNS:billing.acme.example", "DNS:b2.acme.example"]


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    p = Pki(tmp_path_factory.mktemp("pki"))
    p.cert("server", "api.example.com", san=["DNS:api.example.com"])
    p.cert("client", SUBJECT, san=SAN)
    p.cert("revoked", "mallory")
    p.cert("expired", "old", start="20200101000000Z", end="20210101000000Z")
    p.cert("early", "young", start="20500101000000Z", end="20510101000000Z")
    p.authority("other", "Other CA")
    p.cert("stranger", SUBJECT, san=SAN, ca="other")
    p.authority("middle", "Middle CA", issuer="ca")
    p.cert("deep", "deep", ca="middle")
    p.chain("deep", "middle")
    p.cert("server-only", "server-only", usage="serverAuth")
    p.revoke("revoked")
    p.crl()
    return p


def tls(pki, more="", client_cert="require"):
    return ('tls: { cert = "%s"; key = "%s"; client_ca = "%s"; client_cert = "%s"; %s };'
            % (pki.path("server.pem"), pki.path("server.key"), pki.path("ca.pem"), client_cert, more))


class Answer:
    def __init__(self, code, status, body, error):
        self.code, self.status, self.body, self.error = code, status, body, error


def curl(pki, g, *args, cert=None, http="1.1", path="/", scheme="https", port=None):
    """One request by curl; `cert`: the name of the client's."""
    more = ["--cert", pki.path(cert if "." in cert else cert + ".pem"),
            "--key", pki.path(cert.split(".")[0] + ".key")] if cert else []
    port = port or g.port
    p = subprocess.run(["curl", "-sS", "--noproxy", "*", "-m", str(int(20 * SCALE)), "--http" + http,
                        "--cacert", pki.path("ca.pem"), "--resolve", "api.example.com:%d:127.0.0.1" % port,
                        "-w", "\n%{http_code}", *more, *args, "%s://api.example.com:%d%s" % (scheme, port, path)],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    body, _, status = p.stdout.rpartition(b"\n")
    return Answer(p.returncode, int(status or 0), body, p.stderr.decode(errors="replace"))


def refused(a):
    """The handshake failed, or (TLS 1.3) the alert came instead of an answer (60: curl takes it for its own)."""
    assert a.code in (35, 56, 52, 16, 60) and a.status == 0, (a.code, a.status, a.body, a.error)


# ---- who gets in

@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("cert", [None, "stranger", "expired", "early", "revoked", "server-only"])
def test_require_keeps_out(gateway, origin, pki, cert, version):
    o = origin()
    g = gateway(config(o, listener=tls(pki, 'crl = "%s";' % pki.path("ca.crl"))))
    refused(curl(pki, g, "--tls-max", version, cert=cert))
    assert not o.heads
    assert curl(pki, g, "--tls-max", version, cert="client").status == 200


def test_without_crl_nobody_is_revoked(gateway, origin, pki):
    g = gateway(config(origin(), listener=tls(pki)))
    assert curl(pki, g, cert="revoked").status == 200


def test_request_serves_both(gateway, origin, pki):
    o = origin()
    g = gateway(config(o, listener=tls(pki, client_cert="request")))
    assert curl(pki, g).status == 200
    assert curl(pki, g, cert="client").status == 200
    refused(curl(pki, g, cert="stranger"))
    without, with_cert = o.requests
    for name in ("x-forwarded-client-cert", "client-cert", "client-cert-chain"):
        assert not without.has(name)
    assert with_cert.has("client-cert") and with_cert.has("x-forwarded-client-cert")


def test_depth(gateway, origin, pki):
    g = gateway(config(origin(), listener=tls(pki)))
    assert curl(pki, g, cert="deep.chain.pem").status == 200
    g = gateway(config(origin(), listener=tls(pki, "depth = 0;")))
    refused(curl(pki, g, cert="deep.chain.pem"))
    assert curl(pki, g, cert="client").status == 200


# ---- what the upstream is told

def fingerprint(pki, name):
    return pki.field(name, "-fingerprint", "-sha256").replace(":", "").lower()


def xfcc(pki, name="client"):
    return ('Hash=%s;Subject="%s";URI=%s;DNS=%s;DNS=%s'
            % (fingerprint(pki, name), pki.field(name, "-subject", "-nameopt", "RFC2253"),
               SAN[0][4:], SAN[1][4:], SAN[2][4:]))


@pytest.mark.parametrize("http", ["1.1", "2"])
@pytest.mark.parametrize("forward", ["none", "xfcc", "rfc9440", "both", None])
def test_told(gateway, origin, pki, forward, http):
    o = origin()
    g = gateway(config(o, listener=tls(pki, 'forward_client_cert = "%s";' % forward if forward else "")))
    assert curl(pki, g, cert="client", http=http).status == 200
    q = o.requests[0]
    assert q.get("x-forwarded-proto") == "https"
    assert q.get("x-forwarded-client-cert") == (xfcc(pki) if forward in ("xfcc", "both", None) else None)
    want = ":" + base64.b64encode(pki.der("client")).decode() + ":" if forward in ("rfc9440", "both", None) else None
    assert q.get("client-cert") == want
    assert not q.has("client-cert-chain")


def test_resumed_sessions_know_the_client(gateway, origin, pki, tmp_path):
    """The certificate is not shown again, and is known all the same."""
    o = origin()
    g = gateway(config(o, listener=tls(pki)))
    session = str(tmp_path / "session")
    args = ["s_client", "-connect", "127.0.0.1:%d" % g.port, "-servername", "api.example.com", "-CAfile", pki.path("ca.pem"),
            "-cert", pki.path("client.pem"), "-key", pki.path("client.key"), "-ign_eof"]
    ask = b"GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n"
    openssl(*args, "-sess_out", session, input=ask)
    said = openssl(*args, "-sess_in", session, input=ask)
    assert b"Reused, TLS" in said, said
    first, second = o.requests
    assert first.get("client-cert") == second.get("client-cert") is not None
    assert first.get("x-forwarded-client-cert") == second.get("x-forwarded-client-cert") == xfcc(pki)


FORGED = ["-H", 'X-Forwarded-Client-Cert: Hash=1;Subject="CN=root"', "-H", "Client-Cert: :AQID:", "-H", "client-cert-chain: :AQID:",
          "-H", "X_Forwarded_Client_Cert: Hash=1", "-H", "Client_Cert: :AQID:", "-H", "X-SSL-Client-S-DN: CN=root"]
IDENTITY = ("x-forwarded-client-cert", "client-cert", "client-cert-chain", "x_forwarded_client_cert", "client_cert", "x-ssl-client-s-dn")


def test_forged_lines_are_taken_out(gateway, origin, pki):
    """From strangers: with and without TLS, with and without a certificate, whatever is forwarded."""
    o = origin()
    more = 'trust = [ "10.0.0.0/8" ]; client_cert_from = [ "x-ssl-client-s-dn" ];'
    g = gateway(config(o, listener=tls(pki, client_cert="request") + more,
                       listeners='plain: { bind = [ "127.0.0.1:@PORT2@" ]; %s }; none: { bind = [ "127.0.0.1:@PORT3@" ]; %s %s };'
                       % (more, more, tls(pki, 'forward_client_cert = "none";', client_cert="request"))))
    curl(pki, g, *FORGED)
    curl(pki, g, *FORGED, scheme="http", port=g.ports[1])
    curl(pki, g, *FORGED, port=g.ports[2])
    curl(pki, g, *FORGED, port=g.ports[2], cert="client")
    assert len(o.requests) == 4
    for q in o.requests:
        assert not set(IDENTITY) & set(q.names()), q.head
    curl(pki, g, *FORGED, cert="client")
    q = o.requests[4]
    assert q.get("x-forwarded-client-cert") == xfcc(pki)
    assert q.get("client-cert") == ":" + base64.b64encode(pki.der("client")).decode() + ":"
    assert not {"client-cert-chain", "x_forwarded_client_cert", "client_cert", "x-ssl-client-s-dn"} & set(q.names())


def test_forged_lines_choose_no_route(gateway, origin, pki):
    o = origin()
    g = gateway(config(o, routes='{ match = "* /*"; when: { headers: { client-cert = "*"; }; }; respond = 418; }, { match = "* /*"; to = "origin"; }',
                       listener=tls(pki, client_cert="request")))
    assert curl(pki, g, *FORGED).status == 200


# ---- what a trusted peer says

NAMES = ("version", "cipher", "sni", "client.subject", "client.issuer", "client.serial", "client.san", "client.fingerprint", "client.verified")
SAYS = ('policies = ( { type = "headers"; response: { set: { %s }; }; } );'
        % "".join('x-%s = "{tls.%s}"; ' % (n.replace(".", "-"), n) for n in NAMES))


def said(a):
    """What the templates were, from the head of the response."""
    got = {}
    for line in a.body.decode().split("\r\n\r\n")[0].split("\r\n")[1:]:
        name, _, value = line.partition(":")
        got[name.lower()] = value.strip()
    return {n: got.get("x-" + n.replace(".", "-"), "") for n in NAMES}


def names_of(pki, name):
    serial = pki.field(name, "-serial").lower()
    return {"client.subject": pki.field(name, "-subject", "-nameopt", "RFC2253"), "client.issuer": "CN=Test CA",
            "client.serial": serial, "client.fingerprint": fingerprint(pki, name), "client.verified": "true"}


@pytest.mark.parametrize("http", ["1.1", "2"])
def test_names(gateway, origin, pki, http):
    g = gateway(config(origin(), listener=tls(pki, client_cert="request"), service=SAYS,
                       listeners='plain: { bind = [ "127.0.0.1:@PORT2@" ]; };'))
    got = said(curl(pki, g, "-i", cert="client", http=http))
    want = names_of(pki, "client")
    assert {k: got[k] for k in want} == want
    assert got["version"] == "TLSv1.3" and got["cipher"].startswith("TLS_") and got["sni"] == "api.example.com"
    assert got["client.san"] == ", ".join(SAN)
    got = said(curl(pki, g, "-i", http=http))
    assert got["version"] == "TLSv1.3" and got["client.verified"] == "false"
    assert not any(got[n] for n in NAMES if n.startswith("client.") and n != "client.verified")
    got = said(curl(pki, g, "-i", scheme="http", port=g.ports[1]))
    assert not any(got[n] for n in NAMES if n != "client.verified") and got["client.verified"] == "false"


def behind(start, origin, names, more=""):
    """A gateway behind a firewall that ends TLS and says the certificate in a header."""
    o = origin()
    g = start(config(o, listener='trust = [ "127.0.0.1" ]; client_cert_from = [ %s ]; %s' % (", ".join('"%s"' % n for n in names), more), service=SAYS))
    return g, o


def test_believed_from_trust_subject(gateway, origin, pki):
    """As nginx says it: proxy_set_header X-SSL-Client-S-DN $ssl_client_s_dn."""
    g, o = behind(gateway, origin, ["X-SSL-Client-S-DN"])
    got = said(curl(pki, g, "-i", "-H", "X-SSL-Client-S-DN: CN=billing,O=Acme", scheme="http"))
    assert got["client.subject"] == "CN=billing,O=Acme" and got["client.verified"] == "true"
    assert o.requests[0].get("x-ssl-client-s-dn") == "CN=billing,O=Acme"
    got = said(curl(pki, g, "-i", scheme="http"))
    assert got["client.subject"] == "" and got["client.verified"] == "false"
    got = said(curl(pki, g, "-i", "-H", "X-SSL-Client-S-DN: CN=a", "-H", "X-SSL-Client-S-DN: CN=b", scheme="http"))
    assert got["client.subject"] == "" and got["client.verified"] == "false"


def test_believed_from_trust_rfc9440(gateway, origin, pki):
    g, o = behind(gateway, origin, ["client-cert"])
    line = ":" + base64.b64encode(pki.der("client")).decode() + ":"
    got = said(curl(pki, g, "-i", "-H", "Client-Cert: " + line, scheme="http"))
    want = names_of(pki, "client")
    assert {k: got[k] for k in want} == want and got["client.san"] == ", ".join(SAN)
    assert o.requests[0].get("client-cert") == line
    for bad in (line[1:], ":AQID:", ":" + line, "::", ":" + base64.b64encode(pki.der("client") + b"x").decode() + ":"):
        got = said(curl(pki, g, "-i", "-H", "Client-Cert: " + bad, scheme="http"))
        assert got["client.subject"] == "" and got["client.verified"] == "false", bad


def test_believed_from_trust_xfcc(gateway, origin, pki):
    g, o = behind(gateway, origin, ["x-forwarded-client-cert"])
    got = said(curl(pki, g, "-i", "-H", 'X-Forwarded-Client-Cert: By=x;Hash=1;Subject="CN=root",' + xfcc(pki), scheme="http"))
    assert got["client.subject"] == pki.field("client", "-subject", "-nameopt", "RFC2253")
    assert got["client.fingerprint"] == fingerprint(pki, "client") and got["client.san"] == ", ".join(SAN)


def test_the_firewall_itself_is_not_the_client(gateway, origin, pki):
    """It has a certificate of its own, and says nothing: nobody is there."""
    g, o = behind(gateway, origin, ["x-ssl-client-s-dn"], tls(pki))
    got = said(curl(pki, g, "-i", cert="client"))
    assert got["client.subject"] == "" and got["client.verified"] == "false" and got["version"] == "TLSv1.3"
    assert not set(IDENTITY) & set(o.requests[0].names())


def test_another_gateway_is_continued(gateway, origin, pki):
    """Both of ours: the second trusts the first; elements of X-Forwarded-Client-Cert add up."""
    o = origin()
    second = gateway(config(o, listener='trust = [ "127.0.0.1" ]; client_cert_from = [ "Client-Cert" ];', service=SAYS))
    first = gateway(config("http://127.0.0.1:%d" % second.port, listener=tls(pki)))
    got = said(curl(pki, first, "-i", *FORGED, cert="client"))
    assert got["client.subject"] == pki.field("client", "-subject", "-nameopt", "RFC2253")
    assert got["client.fingerprint"] == fingerprint(pki, "client")
    assert o.requests[0].get("x-forwarded-client-cert") == xfcc(pki)


# ---- what is written about it

@pytest.mark.parametrize("http", ["1.1", "2"])
def test_access_log(gateway, origin, pki, http):
    g = gateway(config(origin(), listener=tls(pki, client_cert="request"),
                       gateway=' policies = ( { type = "access-log"; path = "@DIR@/log"; } );'))
    curl(pki, g, cert="client", http=http)
    curl(pki, g, http=http)

    def entries():
        try:
            with open(g.path("log")) as f:
                return [json.loads(s) for s in f]
        except (OSError, ValueError):
            return []
    wait_for(lambda: len(entries()) == 2, "two lines in the log")
    first, second = entries()
    assert first["tls.version"] == "TLSv1.3" and first["tls.cipher"].startswith("TLS_")
    assert first["tls.client.subject"] == pki.field("client", "-subject", "-nameopt", "RFC2253")
    assert first["http.version"] == ("2" if http == "2" else "1.1")
    assert second["tls.version"] == "TLSv1.3" and "tls.client.subject" not in second


@pytest.mark.parametrize("http", ["1.1", "2"])
def test_access_log_of_a_client_that_left(gateway, origin, pki, http):
    """Its connection is gone when the line is written."""
    o = origin(script=lambda conn: (conn.head(), conn.at_end()))
    g = gateway(config(o, listener=tls(pki), gateway=' policies = ( { type = "access-log"; path = "@DIR@/log"; } );'))
    curl(pki, g, "-m", "0.3", cert="client", http=http)

    def entry():
        try:
            with open(g.path("log")) as f:
                return json.loads(f.readline())
        except (OSError, ValueError):
            return None
    got = wait_for(entry, "a line in the log")
    assert got["postern.reason"] == "client_gone" and got["tls.version"] == "TLSv1.3"
    assert got["tls.client.subject"] == pki.field("client", "-subject", "-nameopt", "RFC2253")


def tlv(type, value):
    return struct.pack(">BH", type, len(value)) + value


def test_by_the_proxy_protocol(gateway, origin):
    """A balancer that ends TLS says so in its PROXY header (PP2_TYPE_SSL): by TLS, with a certificate of that name."""
    o = origin()
    g = gateway(config(o, listener='proxy_protocol = "accept"; trust = [ "127.0.0.1" ];', service=SAYS))

    def ask(flags, cn=None):
        ssl = struct.pack(">BI", flags, 0 if flags & 2 else 1) + tlv(0x21, b"TLSv1.3") + (tlv(0x22, cn) if cn else b"")
        rest = socket.inet_aton("192.0.2.7") + socket.inet_aton("192.0.2.1") + struct.pack(">HH", 4711, 443) + tlv(0x20, ssl)
        with g.client() as c:
            c.send(b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack(">H", len(rest)) + rest)
            return c.get("/")
    r = ask(7, b"billing")
    assert (r.get("x-client-subject"), r.get("x-client-verified")) == ("CN=billing", "true")
    r = ask(1)
    assert (r.get("x-client-subject", ""), r.get("x-client-verified")) == ("", "false")
    for q in o.requests:
        assert q.get("x-forwarded-proto") == "https" and q.get("x-forwarded-for") == "192.0.2.7"


def test_limit_by_certificate(gateway, origin, pki):
    """A template of the certificate is a key like any other."""
    g = gateway(config(origin(), listener=tls(pki),
                       service='policies = ( { type = "rate-limit"; rate = "1/min"; by = "{tls.client.fingerprint}"; } );'))
    assert curl(pki, g, cert="client").status == 200
    assert curl(pki, g, cert="client").status == 429
    assert curl(pki, g, cert="revoked").status == 200
