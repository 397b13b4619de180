"""Routing: domains, order, the four path forms, conditions, methods, rewrite, redirect, respond, split."""
import collections

import pytest

from harness import Gateway, Origin, assert_problem, config, reply


def named(name):
    return Origin(lambda r: reply(200, ("%s %s %s" % (name, r.method, r.target)).encode()))


@pytest.fixture(scope="module")
def origins(shared):
    return {n: shared(named(n)) for n in ("a", "b", "c", "d")}


def build(shared_or_gateway, origins, services, **kw):
    ups = "".join('%s: { targets = [ "%s" ]; }; ' % (n, o.target) for n, o in origins.items())
    text = """
gateway: { workers = 1; rundir = "@DIR@/run"; statedir = "@DIR@/state"; %s };
listeners: { main: { bind = [ "127.0.0.1:@PORT@" ]; }; other: { bind = [ "127.0.0.1:@PORT2@" ]; }; };
upstreams: { %s };
services: { %s };
""" % (kw.get("gateway", ""), ups, services)
    return shared_or_gateway(text)


# ---- domains

@pytest.fixture(scope="module")
def domains(shared, origins):
    def service(name, domains, to, on=""):
        return '%s: { domains = [ %s ]; %s routes = ( { match = "* /*"; to = "%s"; } ); };' % (
            name, ", ".join('"%s"' % d for d in domains), on, to)
    return build(lambda t: shared(Gateway(t)), origins, " ".join([
        service("exact", ["api.example.com", "api2.example.com"], "a", 'on = [ "main" ];'),
        service("wild", ["*.example.com"], "b", 'on = [ "main" ];'),
        service("longer", ["*.deep.example.com"], "c", 'on = [ "main" ];'),
        service("any", ["*"], "d", 'on = [ "main" ];'),
        service("there", ["only.example.com"], "a", 'on = [ "other" ];'),
    ]))


@pytest.mark.parametrize("host,to", [
    ("api.example.com", "a"), ("API.Example.COM", "a"), ("api.example.com:8080", "a"), ("api2.example.com", "a"),
    ("x.example.com", "b"), ("x.y.example.com", "b"), ("X.EXAMPLE.com", "b"), ("deep.example.com", "b"),
    ("x.deep.example.com", "c"), ("x.y.deep.example.com", "c"),
    ("example.com", "d"), ("notexample.com", "d"), ("api.example.com.evil", "d"), ("127.0.0.1", "d"), ("[::1]:80", "d"), ("localhost", "d"),
])
def test_domain(domains, host, to):
    r = domains.get("/p", host=host)
    assert r.body == ("%s GET /p" % to).encode()


def test_trailing_dot_is_the_same_name(domains):
    """example.com. is the same host, or none, but never another service."""
    r = domains.get("/p", host="api.example.com.")
    assert r.status in (200, 400)
    assert r.status == 400 or r.body.startswith((b"a ", b"d "))


def test_listener_decides_too(domains):
    r = domains.get("/p", host="only.example.com", port=domains.ports[1])
    assert r.body == b"a GET /p"
    assert_problem(domains.get("/p", host="api.example.com", port=domains.ports[1]), 404, "no_service")


def test_each_request_by_its_own_host(domains):
    with domains.client() as c:
        for host, to in (("api.example.com", b"a"), ("x.example.com", b"b"), ("nowhere", b"d"), ("x.deep.example.com", b"c")) * 3:
            assert c.get("/", host=host).body == to + b" GET /"


def test_host_is_forwarded_as_it_came(gateway, origin):
    o = origin()
    g = gateway(config(o))
    g.get("/", host="Api.Example.com:8080")
    assert o.requests[0].all("host") == ["Api.Example.com:8080"]


# ---- routes

ROUTES = r"""
  { name = "first"; match = "GET /order/special"; to = "b"; },
  { name = "template"; match = "GET /order/{id}"; to = "a"; },
  { name = "later"; match = "GET /order/later"; to = "c"; },
  { name = "exact"; match = "* /exact"; to = "a"; },
  { name = "slash"; match = "* /slash/"; to = "a"; },
  { name = "prefix-deep"; match = "* /files/private/*"; to = "b"; },
  { name = "prefix"; match = "* /files/*"; to = "a"; },
  { name = "two"; match = "* /a/{x}/b/{y}"; to = "a"; rewrite = "/{y}/{x}"; },
  { name = "regex"; match = "* ~ ^/re/(?<n>\\d+)/(?<word>[a-z]+)$"; to = "b"; rewrite = "/{word}/{n}"; },
  { name = "rest"; match = "* /rest/*"; to = "c"; rewrite = "/new/{*}"; },
  { name = "fixed"; match = "* /fixed/*"; to = "a"; rewrite = "/always"; },
  { name = "query"; match = "* /query"; to = "a"; rewrite = "/queried"; },
  { name = "get"; match = "GET,HEAD /methods"; to = "a"; },
  { name = "post"; match = "POST /methods"; to = "b"; },
  { name = "custom"; match = "PURGE /cache/*"; to = "c"; },
  { name = "h"; match = "* /when"; when: { headers: { x-tenant = "acme"; }; }; to = "a"; },
  { name = "hp"; match = "* /when"; when: { headers: { x-present = "*"; }; }; to = "b"; },
  { name = "q"; match = "* /when"; when: { query: { v = "2"; }; }; to = "c"; },
  { name = "c"; match = "* /when"; when: { cookies: { beta = "yes"; }; }; to = "d"; },
  { name = "both"; match = "* /both"; when: { headers: { x-a = "1"; }; query: { b = "2"; }; }; to = "a"; },
  { name = "both-not"; match = "* /both"; to = "b"; },
  { name = "local"; match = "* /local"; when: { client = [ "127.0.0.1" ]; }; to = "a"; },
  { name = "net"; match = "* /net"; when: { client = [ "10.0.0.0/8", "127.0.0.0/8" ]; }; to = "a"; },
  { name = "away"; match = "* /away"; when: { client = [ "10.0.0.0/8" ]; }; to = "a"; },
  { name = "moved"; match = "GET /moved"; redirect = "/there"; },
  { name = "moved-to"; match = "GET /moved/{id}"; redirect = "https://other.example/x/{id}"; },
  { name = "legacy"; match = "* ~ ^/legacy/(?<n>\\d+)$"; redirect = "/v1/orders/{n}"; },
  { name = "gone"; match = "* /gone"; respond = 410; },
  { name = "empty"; match = "* /empty"; respond = 204; },
  { name = "said"; match = "* /said"; respond = { status = 200; body = "hello"; type = "text/x-test"; }; },
  { name = "split"; match = "* /split"; to = ( { upstream = "a"; weight = 75; }, { upstream = "b"; weight = 25; }, { upstream = "c"; weight = 0; } ); },
  { name = "root"; match = "GET /"; to = "d"; }
"""


@pytest.fixture(scope="module")
def routes(shared, origins):
    return build(lambda t: shared(Gateway(t)), origins, "all: { domains = [ \"*\" ]; routes = ( %s ); };" % ROUTES)


@pytest.mark.parametrize("method,target,want", [
    ("GET", "/order/special", "b GET /order/special"), ("GET", "/order/7", "a GET /order/7"), ("GET", "/order/later", "a GET /order/later"),
    ("GET", "/exact", "a GET /exact"), ("DELETE", "/exact", "a DELETE /exact"), ("GET", "/exact?a=b", "a GET /exact?a=b"),
    ("GET", "/slash/", "a GET /slash/"), ("GET", "/files/x", "a GET /files/x"), ("GET", "/files/a/b/c", "a GET /files/a/b/c"),
    ("GET", "/files/private/x", "b GET /files/private/x"), ("GET", "/files/privateer", "a GET /files/privateer"),
    ("GET", "/a/1/b/2", "a GET /2/1"), ("GET", "/re/12/abc", "b GET /abc/12"), ("GET", "/rest/x/y", "c GET /new/x/y"),
    ("GET", "/rest/x?q=1&r", "c GET /new/x?q=1&r"), ("GET", "/fixed/x/y", "a GET /always"), ("GET", "/query?x=y", "a GET /queried?x=y"),
    ("GET", "/methods", "a GET /methods"), ("POST", "/methods", "b POST /methods"), ("PURGE", "/cache/x", "c PURGE /cache/x"),
    ("GET", "/local", "a GET /local"), ("GET", "/net", "a GET /net"), ("GET", "/", "d GET /"),
])
def test_route(routes, method, target, want):
    r = routes.ask(method, target)
    assert (r.status, r.body.decode()) == (200, want)


@pytest.mark.parametrize("target", ["/none", "/exact/", "/exact/x", "/Exact", "/exactly", "/slash", "/order/", "/order/7/", "/order/7/x", "/order",
                                    "/a/1/b", "/a/1/b/2/3", "/a//b/2", "/re/x/abc", "/re/12/ABC", "/re/12/abc/", "/x/re/12/abc", "/away", "/when"])
def test_no_route(routes, target):
    r = routes.get(target)
    doc = assert_problem(r, 404, "no_route")
    assert doc["title"] and doc["type"]


@pytest.mark.parametrize("headers,target,to", [
    ([("X-Tenant", "acme")], "/when", "a"), ([("x-tenant", "acme"), ("X-Present", "1")], "/when", "a"), ([("X-Tenant", "other"), ("X-Present", "")], "/when", "b"),
    ([("X-Present", "anything")], "/when", "b"), ([], "/when?v=2", "c"), ([], "/when?a=1&v=2&b", "c"), ([], "/when?v=%32", "c"),
    ([("Cookie", "beta=yes")], "/when", "d"), ([("Cookie", "a=b; beta=yes; c=d")], "/when", "d"), ([("Cookie", "a=b"), ("Cookie", "beta=yes")], "/when", "d"),
    ([("X-A", "1")], "/both?b=2", "a"), ([("X-A", "1")], "/both", "b"), ([], "/both?b=2", "b"), ([("X-A", "1")], "/both?b=3", "b"),
])
def test_when(routes, headers, target, to):
    r = routes.get(target, headers=headers)
    assert r.status == 200 and r.body.decode().split()[0] == to


@pytest.mark.parametrize("headers,target", [
    ([("X-Tenant", "ACME")], "/when"), ([("X-Tenant", "acme2")], "/when"), ([], "/when?v=22"), ([], "/when?V=2"), ([], "/when?vv=2"), ([], "/when?w=v=2"),
    ([("Cookie", "beta=no")], "/when"), ([("Cookie", "xbeta=yes")], "/when"), ([("X-Cookie", "beta=yes")], "/when"), ([("X-Forwarded-For", "10.0.0.1")], "/away"),
])
def test_when_not(routes, headers, target):
    assert_problem(routes.get(target, headers=headers), 404, "no_route")


@pytest.mark.parametrize("method,target,allow", [
    ("DELETE", "/methods", {"GET", "HEAD", "POST"}), ("GET", "/cache/x", {"PURGE"}), ("POST", "/moved", {"GET"}), ("POST", "/order/7", {"GET"}),
    ("FROB", "/methods", {"GET", "HEAD", "POST"}), ("POST", "/", {"GET"}),
])
def test_method_not_allowed(routes, method, target, allow):
    r = routes.ask(method, target)
    assert_problem(r, 405, "method_not_allowed")
    assert {w.upper() for w in r.words("allow")} - {"OPTIONS"} == allow | ({"HEAD"} if "HEAD" in {w.upper() for w in r.words("allow")} else set())


def test_head_where_get_is(routes):
    """HEAD on a route that names GET alone: taken as GET, or refused with Allow; nothing else."""
    with routes.client() as c:
        r = c.ask("HEAD", "/order/7")
        assert r.status in (200, 405)
        if r.status == 405:
            assert r.has("allow")


@pytest.mark.parametrize("target,location", [("/moved", "/there"), ("/moved/7", "https://other.example/x/7"), ("/moved/a%20b", "https://other.example/x/a%20b"), ("/legacy/42", "/v1/orders/42")])
def test_redirect(routes, target, location):
    r = routes.get(target)
    assert r.status in (301, 302, 303, 307, 308)
    assert r.get("location") == location


@pytest.mark.parametrize("target", ["/moved/%0d%0aSet-Cookie:x=y", "/moved/a%0Ab"])
def test_redirect_cannot_be_split(routes, target):
    r = routes.get(target)
    assert not r.has("set-cookie") and "\r" not in r.get("location", "") and "\n" not in r.get("location", "")


def test_respond(routes):
    with routes.client() as c:
        assert c.get("/gone").status == 410
        r = c.get("/empty")
        assert r.status == 204 and not r.body
        r = c.get("/said")
        assert (r.status, r.body, r.get("content-type")) == (200, b"hello", "text/x-test")
        assert c.ask("POST", "/said", body=b"x" * 1000).body == b"hello"
        assert c.get("/said").body == b"hello"


def test_split(routes):
    with routes.client() as c:
        got = collections.Counter(c.get("/split").body.decode().split()[0] for _ in range(400))
    assert set(got) == {"a", "b"} and 260 <= got["a"] <= 340, got


def test_no_service(gateway, origin):
    g = gateway(config(origin(), domains=["only.example.com"]))
    assert g.get("/", host="only.example.com").status == 200
    with g.client() as c:
        assert_problem(c.get("/", host="other.example.com"), 404, "no_service")
        assert c.get("/", host="only.example.com").status == 200


@pytest.mark.parametrize("accept,html", [
    (None, False), ("*/*", False), ("application/json", False), ("text/html", True), ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
    ("application/json, text/html;q=0.5", False), ("text/html;q=0.5, application/problem+json", False), ("text/html;q=0", False),
])
def test_html_if_accept_prefers_it(routes, accept, html):
    r = routes.get("/none", headers=[("Accept", accept)] if accept else [])
    assert r.status == 404
    assert r.get("content-type").startswith("text/html" if html else "application/problem+json"), r
    if html:
        assert b"<html" in r.body.lower()


def test_html_escapes(routes):
    r = routes.get("/none/<script>alert(1)</script>?<b>", headers=[("Accept", "text/html")])
    assert b"<script>" not in r.body


def test_problem_document(routes):
    r = routes.get("/none")
    doc = r.json()
    assert doc["status"] == 404 and doc["reason"] == "no_route"
    for member in ("type", "title", "instance", "request_id"):
        assert doc.get(member), doc
    assert doc["instance"].startswith("/none")
    assert r.has("date") and r.get("content-length") == str(len(r.body))


def test_proxy_status(routes, gateway, origin):
    """RFC 9209: what the gateway could not do is said in Proxy-Status."""
    from harness import free_port
    g = gateway(config("http://127.0.0.1:%d" % free_port()))
    r = g.get("/")
    assert_problem(r, 502, "connect_refused")
    assert "error=connection_refused" in r.get("proxy-status")
    assert "error=http_request_denied" in routes.get("/none").get("proxy-status")


def test_many_routes(gateway, origin):
    """Two thousand routes: each takes its own."""
    o = origin()
    n = 2000
    g = gateway(config(o, routes=",".join('{ match = "GET /r%d/{id}"; to = "origin"; rewrite = "/n%d/{id}"; }' % (i, i) for i in range(n))))
    with g.client() as c:
        for i in list(range(0, n, 37)) + [n - 1]:
            assert c.get("/r%d/x" % i).body == b"GET /n%d/x" % i
        assert_problem(c.get("/r%d/x" % n), 404, "no_route")


def test_redirecting_listener(gateway, origin):
    """redirect = "https": everything is sent to the https URL."""
    g = gateway(config(origin(), listener='redirect = "https";'))
    r = g.get("/a/b?c=d", host="api.example.com:8080")
    assert r.status == 308
    assert r.get("location") in ("https://api.example.com/a/b?c=d", "https://api.example.com:8080/a/b?c=d")
