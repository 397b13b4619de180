"""forwarded: X-Forwarded-* and Forwarded say the truth; who may say it is in `trust`."""
import pytest

from harness import Origin, config

FORGED = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Port", "1"), ("X-Forwarded-Prefix", "/x"),
          ("Forwarded", "for=6.6.6.6;proto=https"), ("X-Real-IP", "6.6.6.6"), ("X-Forwarded-Client-Cert", "Hash=x"), ("Client-Cert", ":x:"), ("Client-Cert-Chain", ":x:")]


def make(start, origin, policy=None, **kw):
    o = origin()
    if policy is not None:
        kw["service"] = 'policies = ( { type = "forwarded"; %s } );' % policy
    return start(config(o, **kw)), o


def test_default(gateway, origin):
    g, o = make(gateway, origin)
    g.get("/", host="api.example.com:8080")
    q = o.requests[0]
    assert (q.get("x-forwarded-for"), q.get("x-forwarded-proto"), q.get("x-forwarded-host")) == ("127.0.0.1", "http", "api.example.com:8080")
    assert not q.has("forwarded")


@pytest.mark.parametrize("mode", [None, "x", "rfc7239", "both", "off"])
def test_forged_lines_never_get_through(gateway, origin, mode):
    g, o = make(gateway, origin, None if mode is None else 'mode = "%s";' % mode)
    g.get("/", headers=FORGED)
    q = o.requests[0]
    text = q.head.decode("latin-1").lower()
    for word in ("6.6.6.6", "evil.example", "hash=x", ":x:", "proto: https", "proto=https", "x-forwarded-port", "x-forwarded-prefix"):
        assert word not in text, (word, text)
    assert q.all("x-forwarded-for") == (["127.0.0.1"] if mode in (None, "x", "both") else [])
    assert q.has("forwarded") == (mode in ("rfc7239", "both"))


@pytest.mark.parametrize("name", ["x-forwarded-for", "X-FORWARDED-FOR", "x_forwarded_for"])
def test_spellings(gateway, origin, name):
    g, o = make(gateway, origin)
    g.get("/", headers=[(name, "6.6.6.6"), (name, "7.7.7.7")])
    assert o.requests[0].all("x-forwarded-for") == ["127.0.0.1"]


def test_connection_cannot_remove_them(gateway, origin):
    g, o = make(gateway, origin)
    g.get("/", headers=[("Connection", "x-forwarded-for, x-forwarded-proto, x-forwarded-host")])
    q = o.requests[0]
    assert (q.get("x-forwarded-for"), q.get("x-forwarded-proto"), q.get("x-forwarded-host")) == ("127.0.0.1", "http", "test.example")


TRUST = 'trust = [ "127.0.0.0/8", "10.0.0.0/8" ];'


@pytest.mark.parametrize("came,sent,client", [
    ([], "127.0.0.1", "127.0.0.1"), (["9.9.9.9"], "9.9.9.9, 127.0.0.1", "9.9.9.9"), (["8.8.8.8, 9.9.9.9"], "8.8.8.8, 9.9.9.9, 127.0.0.1", "9.9.9.9"),
    (["8.8.8.8, 9.9.9.9, 10.1.2.3"], "8.8.8.8, 9.9.9.9, 10.1.2.3, 127.0.0.1", "9.9.9.9"), (["8.8.8.8", "9.9.9.9"], "8.8.8.8, 9.9.9.9, 127.0.0.1", "9.9.9.9"),
    (["2001:db8::1"], "2001:db8::1, 127.0.0.1", "2001:db8::1"), (["9.9.9.9, junk, 10.0.0.1"], None, "10.0.0.1"),
])
def test_trusted_peer(gateway, origin, came, sent, client):
    """Walked from the right: the first that is not trusted is the client."""
    o = origin()
    g = gateway(config(o, listener=TRUST, service='policies = ( { type = "headers"; request: { set: { x-client = "{client.ip}"; }; }; } );'))
    g.get("/", headers=[("X-Forwarded-For", s) for s in came])
    q = o.requests[0]
    assert q.get("x-client") == client
    if sent:
        assert [s.strip() for v in q.all("x-forwarded-for") for s in v.split(",")] == sent.split(", ")


def test_trusted_proto_and_host(gateway, origin):
    g, o = make(gateway, origin, listener=TRUST)
    g.get("/", headers=[("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "outer.example")])
    q = o.requests[0]
    assert (q.get("x-forwarded-proto"), q.get("x-forwarded-host")) == ("https", "outer.example")


def test_rfc7239(gateway, origin):
    g, o = make(gateway, origin, 'mode = "rfc7239";')
    g.get("/", host="api.example.com:8080")
    q = o.requests[0]
    parts = dict(p.split("=", 1) for p in q.get("forwarded").split(";"))
    assert parts == {"for": "127.0.0.1", "host": '"api.example.com:8080"', "proto": "http"}


def test_rfc7239_from_trusted(gateway, origin):
    o = origin()
    g = gateway(config(o, listener=TRUST, service='policies = ( { type = "forwarded"; mode = "rfc7239"; }, { type = "headers"; request: { set: { x-client = "{client.ip}"; }; }; } );'))
    g.get("/", headers=[("Forwarded", 'for="[2001:db8::7]:1234";proto=https, for=10.0.0.1')])
    q = o.requests[0]
    assert q.get("x-client") == "2001:db8::7"
    assert q.get("forwarded").startswith('for="[2001:db8::7]:1234";proto=https, for=10.0.0.1, for=127.0.0.1')


def test_real_ip(gateway, origin):
    g, o = make(gateway, origin, "real_ip = true;", listener=TRUST)
    g.get("/", headers=[("X-Forwarded-For", "9.9.9.9")])
    assert o.requests[0].get("x-real-ip") == "9.9.9.9"


def test_log_and_conditions_use_the_client(gateway, origin):
    """The believed address is what `when.client` looks at, and from others it is the peer."""
    o = origin()
    routes = '{ match = "* /*"; when: { client = [ "9.9.9.9" ]; }; to = "origin"; rewrite = "/inside"; }, { match = "* /*"; to = "origin"; rewrite = "/outside"; }'
    g = gateway(config(o, listener=TRUST, routes=routes))
    assert g.get("/", headers=[("X-Forwarded-For", "9.9.9.9")]).body == b"GET /inside"
    assert g.get("/").body == b"GET /outside"
    g = gateway(config(o, routes=routes))
    assert g.get("/", headers=[("X-Forwarded-For", "9.9.9.9")]).body == b"GET /outside"
