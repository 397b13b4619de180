"""request-id: every request has one; the upstream, the client and the log agree on it."""
import re

from harness import Origin, assert_problem, config, reply

USE = dict(service='policies = ( { type = "request-id"; %s } );')


def make(start, origin, options="", **kw):
    o = origin()
    return start(config(o, service='policies = ( { type = "request-id"; %s } );' % options, **kw)), o


def test_made_and_told(gateway, origin):
    g, o = make(gateway, origin)
    ids = set()
    for _ in range(20):
        r = g.get("/")
        one = r.get("x-request-id")
        assert re.fullmatch(r"[0-9a-f]{32}", one)
        assert o.requests[-1].get("x-request-id") == one
        ids.add(one)
    assert len(ids) == 20


def test_unique_over_workers_and_reloads(gateway, origin):
    g, o = make(gateway, origin, workers=2)
    ids = [g.get("/").get("x-request-id") for _ in range(50)]
    g.reload()
    ids += [g.get("/").get("x-request-id") for _ in range(50)]
    assert len(set(ids)) == 100


def test_not_believed_from_anyone(gateway, origin):
    g, o = make(gateway, origin)
    r = g.get("/", headers=[("X-Request-Id", "forged")])
    assert r.get("x-request-id") != "forged" and o.requests[0].get("x-request-id") == r.get("x-request-id")


def test_believed_from_the_trusted(gateway, origin):
    g, o = make(gateway, origin, listener='trust = [ "127.0.0.0/8" ];')
    r = g.get("/", headers=[("X-Request-Id", "abc-123")])
    assert r.get("x-request-id") == "abc-123" and o.requests[0].get("x-request-id") == "abc-123"
    for odd in ("a b", "x" * 500, "a<b", ""):
        r = g.get("/", headers=[("X-Request-Id", odd)])
        assert re.fullmatch(r"[0-9a-f]{32}", r.get("x-request-id"))


def test_always_and_never(gateway, origin):
    g, o = make(gateway, origin, 'accept = "always";')
    assert g.get("/", headers=[("X-Request-Id", "abc")]).get("x-request-id") == "abc"
    g, o = make(gateway, origin, 'accept = "never";', listener='trust = [ "127.0.0.1" ];')
    assert g.get("/", headers=[("X-Request-Id", "abc")]).get("x-request-id") != "abc"


def test_own_header_and_silence(gateway, origin):
    g, o = make(gateway, origin, 'header = "x-correlation"; response = false;')
    r = g.get("/", headers=[("X-Correlation", "forged")])
    assert not r.has("x-correlation")
    assert re.fullmatch(r"[0-9a-f]{32}", o.requests[0].get("x-correlation"))


def test_in_problem_documents(gateway, origin):
    g, o = make(gateway, origin, routes='{ match = "GET /a"; to = "origin"; }')
    r = g.get("/none")
    doc = assert_problem(r, 404, "no_route")
    assert doc["request_id"] == r.get("x-request-id")
