"""respond and redirect as policies: they answer, and nothing behind them runs."""
import pytest

from harness import Origin, config


def make(start, origin, policy, **kw):
    o = origin()
    return start(config(o, policies="p: { %s };" % policy, service='policies = [ "p" ];', **kw)), o


def test_respond(gateway, origin):
    g, o = make(gateway, origin, 'type = "respond"; status = 503; body = "closed for today"; ')
    with g.client() as c:
        for method in ("GET", "POST"):
            r = c.ask(method, "/", body=b"x" * 5000 if method == "POST" else None)
            assert (r.status, r.body) == (503, b"closed for today") and r.get("content-type").startswith("text/plain")
        r = c.ask("HEAD", "/")
        assert r.status == 503 and r.get("content-length") == "16"
        assert c.get("/").status == 503
    assert not o.heads


def test_redirect(gateway, origin):
    g, o = make(gateway, origin, 'type = "redirect"; to = "https://{host}{path}"; status = 301;')
    r = g.get("/a/b", host="api.example.com")
    assert r.status == 301 and r.get("location") == "https://api.example.com/a/b"
    assert not o.heads


@pytest.mark.parametrize("target", ["//evil.example/x", "/%2f%2fevil.example", "/\\evil.example", "/a%0d%0aSet-Cookie:%20x=y"])
def test_redirect_stays_where_it_should(gateway, origin, target):
    """What a request puts into a path cannot make it another host or another header."""
    g, o = make(gateway, origin, 'type = "redirect"; to = "{path}";')
    r = g.get(target)
    if r.status != 400:
        where = r.get("location")
        assert where.startswith("/") and not where.startswith("//") and not where.startswith("/\\")
        assert not r.has("set-cookie")


def test_without(gateway, origin):
    g, o = make(gateway, origin, 'type = "respond"; status = 403;', routes='{ match = "GET /open"; to = "origin"; without = [ "p" ]; }, { match = "* /*"; to = "origin"; }')
    assert g.get("/open").status == 200
    assert g.get("/shut").status == 403
    assert [q.target for q in o.requests] == ["/open"]
