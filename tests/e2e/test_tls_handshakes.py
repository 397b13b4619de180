"""What a listener does around handshakes: staples, and limits of who begins too many."""
import socket
import ssl
import subprocess

import pytest

from certs import CA, openssl
from harness import config, wait_for

HELLO = '{ match = "* /*"; respond = 200; }'


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    ca = CA(tmp_path_factory.mktemp("ca"))
    ca.sign("api", "DNS:api.example")
    return ca


def tls(ca, pair="", more=""):
    return 'tls: { certs = ( { cert = "%s"; key = "%s"; %s } ); %s };' % (ca.path("api.pem"), ca.path("api.key"), pair, more)


def try_one(g, ca):
    """Whether a handshake is taken."""
    c = ssl.create_default_context(cafile=ca.pem)
    try:
        with socket.create_connection(("127.0.0.1", g.port), timeout=10) as s, c.wrap_socket(s, server_hostname="api.example"):
            return True
    except OSError:
        return False


def test_a_staple(gateway, ca):
    """OpenSSL's own responder signs; openssl s_client sees it, and it is replaced by a reload."""
    serial = openssl("x509", "-in", "api.pem", "-noout", "-serial", cwd=ca.dir).decode().strip().split("=")[1]
    with open(ca.path("index"), "w") as f:
        f.write("V\t491231235959Z\t\t%s\tunknown\t/O=Tests/CN=api\n" % serial)

    def sign():
        openssl("ocsp", "-index", "index", "-CA", "ca.pem", "-rsigner", "ca.pem", "-rkey", "ca.key", "-issuer", "ca.pem", "-cert", "api.pem",
                "-no_nonce", "-ndays", "5", "-respout", "api.ocsp", cwd=ca.dir)

    def seen():
        p = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % g.port, "-servername", "api.example", "-status", "-CAfile", ca.pem],
                           input=b"", stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
        return p.stdout.decode()
    sign()
    g = gateway(config(routes=HELLO, listener=tls(ca, 'ocsp = "%s";' % ca.path("api.ocsp"))))
    said = seen()
    assert "OCSP Response Status: successful" in said and "Cert Status: good" in said, said
    with open(ca.path("index"), "w") as f:
        f.write("R\t491231235959Z\t250101000000Z\t%s\tunknown\t/O=Tests/CN=api\n" % serial)
    sign()
    g.reload()
    assert "Cert Status: revoked" in seen()


def test_so_many_a_second(gateway, ca):
    g = gateway(config(routes=HELLO, listener=tls(ca, more="rate = 5;")))
    taken = sum(try_one(g, ca) for _ in range(40))
    assert 5 <= taken < 25, taken
    # Other addresses are not concerned.
    c = ssl.create_default_context(cafile=ca.pem)
    with socket.create_connection(("127.0.0.1", g.port), timeout=10, source_address=("127.0.0.2", 0)) as s:
        with c.wrap_socket(s, server_hostname="api.example") as t:
            t.sendall(b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n")
            assert t.recv(100).startswith(b"HTTP/1.1 200")


def test_so_many_at_once(gateway, ca):
    g = gateway(config(routes=HELLO, listener=tls(ca, more="pending = 4;")))
    silent = [socket.create_connection(("127.0.0.1", g.port)) for _ in range(4)]
    wait_for(lambda: not try_one(g, ca), "handshakes to be refused")
    for s in silent:
        s.close()
    wait_for(lambda: try_one(g, ca), "room for another")
    assert "too many handshakes" in g.log()
