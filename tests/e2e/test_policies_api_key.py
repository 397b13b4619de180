"""api-key: who it is, what goes on to the upstream, what is refused and why, and that no key is ever written anywhere."""

import hashlib
import json
import os

import pytest

from harness import assert_problem, config, wait_for

KEY, POOR = "acme-key-7Fq2", "poor-key-19Xd"


def digest(key):
    return hashlib.sha256(key.encode()).hexdigest()


KNOWN = """
plans: { gold: { rate = "1000/s"; }; };
consumers: { acme: { plan = "gold"; keys = [ "sha256:%s" ]; }; poor: { keys = [ "sha256:%s" ]; }; };
""" % (digest(KEY), digest(POOR))

TELL = '{ type = "headers"; request: { set: { x-consumer = "{consumer}"; x-plan = "{plan}"; x-key-id = "{key.id}"; }; }; }'


def keyed(gateway, origin, options="", before="", head=KNOWN, **kw):
    o = origin()
    g = gateway(config(o, head=head, service='policies = ( %s { type = "api-key"; %s }, %s );' % (before, options, TELL), **kw))
    return g, o


def test_who_it_is(gateway, origin):
    g, o = keyed(gateway, origin, workers=2)
    for key, name, plan in ((KEY, "acme", "gold"), (POOR, "poor", "")):
        r = g.get("/x", headers=[("X-API-Key", key), ("x-other", "1")])
        assert r.status == 200
        sent = o.requests[-1]
        assert not sent.has("x-api-key") and sent.get("x-other") == "1"
        assert sent.get("x-consumer") == name and sent.get("x-plan", "") == plan
        assert sent.get("x-key-id") == digest(key)[:12]
    assert KEY.encode() not in o.raw()


def test_refused(gateway, origin):
    g, o = keyed(gateway, origin)
    r = g.get("/x")
    assert_problem(r, 401, "api_key_missing")
    assert r.get("WWW-Authenticate") == 'ApiKey realm="postern", header="x-api-key"'
    # Until the keeper has opened the store, nobody can say.
    wait_for(lambda: g.get("/x", headers=[("x-api-key", "nobody")]).status == 401, "the store to be open")
    r = g.get("/x", headers=[("x-api-key", "nobody")])
    assert_problem(r, 401, "api_key_unknown")
    assert "ApiKey" in r.get("WWW-Authenticate")
    r = g.get("/x", headers=[("x-api-key", KEY), ("x-api-key", KEY)])
    assert_problem(r, 401, "api_key_unknown")
    assert_problem(g.get("/x", headers=[("x-api-key", KEY.upper())]), 401, "api_key_unknown")
    assert not o.requests


def test_optional(gateway, origin):
    g, o = keyed(gateway, origin, "optional = true;")
    assert g.get("/x").status == 200 and o.requests[-1].get("x-consumer", "") == ""
    assert g.get("/x", headers=[("x-api-key", KEY)]).status == 200 and o.requests[-1].get("x-consumer") == "acme"
    assert g.get("/x", headers=[("x-api-key", "wrong")]).status in (401, 503)
    assert len(o.requests) == 2


def test_query(gateway, origin):
    g, o = keyed(gateway, origin, 'query = "k";')
    for target, sent in (("/x?k=" + KEY, "/x"), ("/x?a=1&k=%s&b" % KEY, "/x?a=1&b"), ("/x?%6B=" + KEY, "/x")):
        assert g.get(target).status == 200
        assert o.requests[-1].target == sent and o.requests[-1].get("x-consumer") == "acme"
    assert_problem(g.get("/x?K=" + KEY), 401, "api_key_missing")


def test_cookie(gateway, origin):
    g, o = keyed(gateway, origin, 'cookie = "key";')
    assert g.get("/x", headers=[("Cookie", "a=b; key=%s; c=d" % KEY)]).status == 200
    assert o.requests[-1].get("cookie") == "a=b; c=d"
    assert g.get("/x", headers=[("Cookie", "key=" + KEY)]).status == 200
    assert not o.requests[-1].has("cookie") and o.requests[-1].get("x-consumer") == "acme"


def test_keep(gateway, origin):
    g, o = keyed(gateway, origin, 'header = "x-token"; keep = true;')
    assert g.get("/x", headers=[("x-token", KEY)]).status == 200
    assert o.requests[-1].get("x-token") == KEY


def test_consumers_file(gateway, origin):
    o = origin()
    g = gateway(config(o, head='plans: { gold: { rate = "1000/s"; }; };', gateway='consumers_file = "keys.txt";',
                       service='policies = ( { type = "api-key"; }, %s );' % TELL), start=False)
    lines = ["c%d sha256:%s%s" % (i, digest("k%d" % i), " gold" if i % 2 else "") for i in range(2000)]
    g.write("\n".join(lines) + "\n", "keys.txt")
    g.start()
    for i in (0, 1, 999, 1999):
        assert g.get("/x", headers=[("x-api-key", "k%d" % i)]).status == 200
        assert o.requests[-1].get("x-consumer") == "c%d" % i
        assert o.requests[-1].get("x-plan", "") == ("gold" if i % 2 else "")
    # A reload takes keys out and brings others in.
    g.write("\n".join(lines[1:] + ["new sha256:" + digest("fresh")]) + "\n", "keys.txt")
    g.reload()
    assert g.get("/x", headers=[("x-api-key", "k0")]).status in (401, 503)
    assert g.get("/x", headers=[("x-api-key", "fresh")]).status == 200


@pytest.mark.parametrize("format", ["json", "combined", '{method} {path}?{query} {query.k} {header.x-secret}'])
def test_no_key_is_logged(gateway, origin, format):
    """Nor where the request is refused before its key is looked at, or has no route, or bears it in its Referer."""
    before = '{ type = "rate-limit"; rate = "1/h"; burst = 3; by = "all"; },'
    o = origin()
    g = gateway(config(o, head=KNOWN, gateway='policies = ( { type = "access-log"; path = "@DIR@/log"; format = "%s"; } );' % format,
                       routes='{ name = "r"; match = "GET /x"; to = "origin"; }, { match = "GET /h"; to = "origin"; '
                              'policies = ( { type = "api-key"; header = "x-secret"; keep = true; } ); without = [ "bykey" ]; }',
                       policies='bykey: { type = "api-key"; query = "k"; keep = true; };',
                       service='policies = ( %s "bykey" );' % before))
    for target in ("/x?k=" + KEY, "/nowhere?k=" + KEY, "/x?a=1&k=" + KEY + "x"):
        g.get(target, headers=[("Referer", "http://page/?k=" + KEY)])
    g.get("/h", headers=[("x-secret", KEY)])
    assert g.get("/x?k=" + KEY).status == 429
    path = g.path("log")
    wait_for(lambda: os.path.exists(path) and open(path).read().count("\n") == 5, "five lines")
    for name in ("log", "stderr", "stdout"):
        text = open(g.path(name)).read()
        assert KEY not in text, text


def test_the_log_names_the_key_by_its_id(gateway, origin):
    g, _ = keyed(gateway, origin, before='{ type = "access-log"; path = "@DIR@/log"; },')
    g.get("/x", headers=[("x-api-key", KEY)])
    path = g.path("log")
    wait_for(lambda: os.path.exists(path) and open(path).read().endswith("\n"), "a line")
    line = json.loads(open(path).read())
    assert line["postern.consumer"] == "acme" and line["postern.plan"] == "gold" and line["postern.key"] == digest(KEY)[:12]


def test_a_damaged_store_lets_nobody_in(gateway, origin):
    """Who is known by the files is served; of all others nobody can say whether they may pass."""
    o = origin()
    g = gateway(config(o, head=KNOWN, service='policies = ( { type = "api-key"; } );'), start=False)
    g.write("this is no store" * 1000, "state/state")
    g.start()
    assert g.get("/x", headers=[("x-api-key", KEY)]).status == 200
    r = g.get("/x", headers=[("x-api-key", "nobody")])
    assert_problem(r, 503, "identity_unavailable")
    assert not r.has("www-authenticate") and len(o.requests) == 1
