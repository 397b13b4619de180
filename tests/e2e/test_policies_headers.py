"""headers: set, add and remove on requests and responses, with templates."""
import pytest

from harness import Origin, assert_problem, config, reply, run


def through(gateway, origin, policy, ask=(), answer=(), target="/", routes=None):
    """(the request at the origin, the response)."""
    o = origin(lambda r: reply(200, b"ok", answer))
    g = gateway(config(o, policies="p: { type = \"headers\"; %s };" % policy, service='policies = [ "p" ];',
                       **({"routes": routes} if routes else {})))
    r = g.get(target, headers=ask)
    assert r.status == 200, r
    return o.requests[0], r


def test_set(gateway, origin):
    q, r = through(gateway, origin, 'request: { set: { x-a = "1"; X-New = "n"; }; }; response: { set: { x-b = "2"; }; };',
                   [("X-A", "old"), ("x-a", "older"), ("X-C", "kept")], [("X-B", "old"), ("X-b", "older"), ("X-D", "kept")])
    assert q.all("x-a") == ["1"] and q.get("x-new") == "n" and q.get("x-c") == "kept"
    assert r.all("x-b") == ["2"] and r.get("x-d") == "kept"


def test_add(gateway, origin):
    q, r = through(gateway, origin, 'request: { add: { x-a = "1"; }; }; response: { add: { set-cookie = "n=1"; }; };',
                   [("X-A", "old")], [("Set-Cookie", "o=1")])
    assert q.all("x-a") == ["old", "1"]
    assert r.all("set-cookie") == ["o=1", "n=1"]


def test_remove(gateway, origin):
    q, r = through(gateway, origin, 'request: { remove = [ "x-a", "Cookie" ]; }; response: { remove = [ "server", "x-powered-by" ]; };',
                   [("X-A", "1"), ("x-A", "2"), ("COOKIE", "c"), ("X-B", "3")], [("Server", "s"), ("X-Powered-By", "p"), ("X-powered-by", "q"), ("X-C", "4")])
    assert not q.has("x-a") and not q.has("cookie") and q.get("x-b") == "3"
    assert not r.has("x-powered-by") and r.get("server") != "s" and r.get("x-c") == "4"


@pytest.mark.parametrize("template,want", [
    ("{client.ip}", "127.0.0.1"), ("{method} {path}", "GET /v/7"), ("{host}", "test.example"), ("{scheme}", "http"), ("{header.x-in}", "in"), ("{query.q}", "a b"),
    ("{cookie.c}", "cc"), ("{id}", "7"), ("{route}", "item"), ("{service}", "all"), ("<{header.x-none}>", "<>"), ("plain", "plain"), ("a{{b", "a{b"),
    ("{path}?{id}", "/v/7?7"),
])
def test_template(gateway, origin, template, want):
    q, r = through(gateway, origin, 'request: { set: { x-t = "%s"; }; };' % template, [("X-In", "in"), ("Cookie", "b=1; c=cc")], target="/v/7?q=a%20b",
                   routes='{ name = "item"; match = "GET /v/{id}"; to = "origin"; rewrite = "/other"; }')
    assert q.get("x-t") == want


def test_response_template(gateway, origin):
    q, r = through(gateway, origin, 'response: { set: { x-t = "{method} {path} {upstream.target}"; }; };', target="/a")
    assert r.get("x-t").startswith("GET /a 127.0.0.1:")


def test_on_the_gateways_own_answers(gateway, origin):
    g = gateway(config(origin(), policies='p: { type = "headers"; response: { set: { x-b = "2"; }; }; };', service='policies = [ "p" ];',
                       routes='{ match = "GET /own"; respond = 204; }, { match = "GET /a"; to = "origin"; }'))
    for target, status in (("/own", 204), ("/a", 200), ("/none", 404)):
        r = g.get(target)
        assert r.status == status and r.get("x-b") == "2", (target, r.head)


def test_order_and_without(gateway, origin):
    """Gateway, service, route, in this order; `without` leaves one out."""
    o = origin()
    g = gateway(config(o, gateway='policies = [ "one" ];', service='policies = [ "two" ];',
                       policies="".join('%s: { type = "headers"; request: { add: { x-o = "%s"; }; }; };' % (n, n) for n in ("one", "two", "three")),
                       routes="""{ match = "GET /all"; to = "origin"; policies = [ "three" ]; },
                                 { match = "GET /less"; to = "origin"; without = [ "one", "two" ]; policies = ( "three", { type = "headers"; request: { add: { x-o = "inline"; }; }; } ); },
                                 { match = "GET /last"; to = "origin"; }"""))
    for target, want in (("/all", ["one", "two", "three"]), ("/less", ["three", "inline"]), ("/last", ["one", "two"])):
        g.get(target)
        assert o.requests[-1].all("x-o") == want


def test_host(gateway, origin):
    q, r = through(gateway, origin, 'request: { set: { host = "inner.example:81"; }; };')
    assert q.all("host") == ["inner.example:81"]


def test_value_from_outside_cannot_split(gateway, origin):
    """A decoded query value with a line end never becomes a header line."""
    o = origin()
    g = gateway(config(o, policies='p: { type = "headers"; request: { set: { x-q = "{query.q}"; }; }; response: { set: { x-q = "{query.q}"; }; }; };', service='policies = [ "p" ];'))
    r = g.get("/?q=a%0d%0aSet-Cookie:%20x=y")
    assert not r.has("set-cookie")
    for q in o.requests:
        assert not q.has("set-cookie")
    r = g.get("/?q=fine")
    assert r.get("x-q") == "fine" and o.requests[-1].get("x-q") == "fine"


@pytest.mark.parametrize("bad", ['request: { set: { content-length = "5"; }; };', 'request: { set: { transfer-encoding = "chunked"; }; };', 'response: { set: { connection = "close"; }; };',
                                 'request: { remove = [ "host" ]; };', 'request: { set: { x-a = "{no.such.name}"; }; };', 'request: { set: { x-a = "a\\r\\nb"; }; };'])
def test_refused_at_load(gateway, origin, bad):
    g = gateway(config(origin(), policies='p: { type = "headers"; %s };' % bad, service='policies = [ "p" ];'), start=False)
    code, out, err = run("check", "-c", g.conf)
    assert code == 1, out + err
    assert "postern.conf:" in out + err
