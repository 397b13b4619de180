"""cors: preflights are answered, other requests get their lines (Fetch standard §3.2)."""
import pytest

from harness import Origin, assert_problem, config, reply

GOOD = "https://app.example.com"


def make(start, origin, options, answer=(), **kw):
    o = origin(lambda r: reply(200, b"ok", answer))
    return start(config(o, policies='p: { type = "cors"; %s };' % options, service='policies = [ "p" ];', **kw)), o


def preflight(g, source, method="PUT", headers=None, target="/a"):
    return g.ask("OPTIONS", target, headers=[("Origin", source), ("Access-Control-Request-Method", method)]
                 + ([("Access-Control-Request-Headers", headers)] if headers else []))


def test_preflight(gateway, origin):
    g, o = make(gateway, origin, 'origins = [ "%s" ]; methods = [ "GET", "PUT" ]; headers = [ "x-a", "content-type" ]; max_age = "10m";' % GOOD,
                routes='{ match = "GET,PUT /a"; to = "origin"; }')
    r = preflight(g, GOOD, "PUT", "x-a")
    assert r.status in (200, 204) and not r.body
    assert r.get("access-control-allow-origin") == GOOD
    assert set(r.words("access-control-allow-methods")) == {"get", "put"}
    assert set(r.words("access-control-allow-headers")) == {"x-a", "content-type"}
    assert r.get("access-control-max-age") == "600"
    assert "origin" in r.words("vary")
    assert not o.heads, "a preflight was forwarded"


def test_preflight_refused(gateway, origin):
    g, o = make(gateway, origin, 'origins = [ "%s" ];' % GOOD)
    for source in ("https://evil.example", "http://app.example.com", "https://app.example.com:444", "https://app.example.com.evil", "null"):
        r = preflight(g, source)
        assert_problem(r, 403, "cors_denied")
        assert not r.has("access-control-allow-origin")
    assert not o.heads


def test_simple_request(gateway, origin):
    g, o = make(gateway, origin, 'origins = [ "%s" ]; expose = [ "x-total" ]; credentials = true;' % GOOD)
    r = g.get("/", headers=[("Origin", GOOD)])
    assert r.body == b"ok" and r.get("access-control-allow-origin") == GOOD
    assert r.get("access-control-allow-credentials") == "true" and r.get("access-control-expose-headers") == "x-total"
    assert "origin" in r.words("vary")


def test_other_origin_gets_no_line(gateway, origin):
    g, o = make(gateway, origin, 'origins = [ "%s" ];' % GOOD)
    r = g.get("/", headers=[("Origin", "https://evil.example")])
    assert r.body == b"ok" and not r.has("access-control-allow-origin") and "origin" in r.words("vary")
    r = g.get("/")
    assert r.body == b"ok" and not r.has("access-control-allow-origin")


def test_lines_of_the_upstream_are_replaced(gateway, origin):
    g, o = make(gateway, origin, 'origins = [ "%s" ];' % GOOD, [("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Credentials", "true"), ("Vary", "Accept")])
    r = g.get("/", headers=[("Origin", GOOD)])
    assert r.all("access-control-allow-origin") == [GOOD] and not r.has("access-control-allow-credentials")
    assert set(r.words("vary")) == {"accept", "origin"}
    r = g.get("/", headers=[("Origin", "https://evil.example")])
    assert not r.has("access-control-allow-origin")


def test_any(gateway, origin):
    g, o = make(gateway, origin, 'origins = [ "*" ]; headers = [ "*" ];')
    assert g.get("/", headers=[("Origin", "https://x.example")]).get("access-control-allow-origin") == "*"
    r = preflight(g, "https://x.example", "GET", "x-odd, x-other")
    assert r.get("access-control-allow-origin") == "*" and set(r.words("access-control-allow-headers")) == {"x-odd", "x-other"}


@pytest.mark.parametrize("source,ok", [("https://a.example.com", True), ("https://a.b.example.com", True), ("https://example.com", False), ("https://evilexample.com", False),
                                       ("https://a.example.com.evil", False), ("http://a.example.com", False), ("https://pr-12.example.org", True), ("https://pr-x.example.org", False)])
def test_patterns(gateway, origin, source, ok):
    g, o = make(gateway, origin, r'origins = [ "https://*.example.com", "~ ^https://pr-[0-9]+\\.example\\.org$" ];')
    r = g.get("/", headers=[("Origin", source)])
    assert r.all("access-control-allow-origin") == ([source] if ok else [])


def test_plain_options_goes_through(gateway, origin):
    """OPTIONS that is no preflight is a request like any other."""
    g, o = make(gateway, origin, 'origins = [ "%s" ];' % GOOD)
    assert g.ask("OPTIONS", "/a").body == b"ok"
    assert g.ask("OPTIONS", "/a", headers=[("Origin", GOOD)]).body == b"ok"
    assert len(o.requests) == 2


def test_on_the_gateways_own_answers(gateway, origin):
    """A page can read why it was refused."""
    g, o = make(gateway, origin, 'origins = [ "%s" ];' % GOOD, routes='{ match = "GET /a"; to = "origin"; }')
    r = g.get("/none", headers=[("Origin", GOOD)])
    assert_problem(r, 404, "no_route")
    assert r.get("access-control-allow-origin") == GOOD
