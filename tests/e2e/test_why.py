"""`postern why`: what a request's id tells afterwards, with no log level changed."""
import json
import os
import pwd
import re
import signal
import subprocess
import time

import pytest

from harness import config, free_port, wait_for

ROUTES = ('{ name = "create"; match = "POST /orders"; to = "origin"; },\n'
          '{ name = "vip"; match = "GET /orders"; when: { headers: { x-vip = "1"; }; }; to = "origin"; },\n'
          '{ name = "list"; match = "GET /orders"; to = "origin"; policies = [ "two" ]; },\n'
          '{ name = "never"; match = "GET /orders/*"; to = "origin"; },\n'
          '{ name = "hello"; match = "GET /hello"; respond: { status = 200; body = "hi"; }; },\n'
          '{ name = "away"; match = "GET /away"; redirect = "/hello"; },\n'
          '{ name = "held"; match = "* /held"; to = "origin"; policies = [ "slow" ]; },\n'
          '{ name = "down"; match = "GET /down"; to = "down"; },\n'
          '{ name = "half"; match = "GET /half"; to = "half"; }')
POLICIES = ('two: { type = "rate-limit"; rate = "2/min"; burst = 2; by = "{client.ip}"; };\n'
            'slow: { type = "spike-control"; rate = "60/min"; by = "{client.ip}"; };')


def conf(origin, **kw):
    dead = free_port()
    kw.setdefault("workers", 2)
    kw.setdefault("routes", ROUTES)
    return config(origin, policies=POLICIES,
                  listeners='tls: { bind = [ "127.0.0.1:@PORT2@" ]; redirect = "https"; };',
                  upstreams='down: { targets = [ "http://127.0.0.1:%d" ]; };'
                            'half: { targets = [ "http://127.0.0.1:%d", "%s" ]; };' % (dead, dead, origin.target), **kw)


@pytest.fixture
def gw(gateway, origin):
    return gateway(conf(origin()))


def line_of(g, what):
    """Where the configuration says that."""
    with open(g.conf) as f:
        for n, line in enumerate(f, 1):
            if what in line:
                return "postern.conf:%d" % n    # relative to where the gateway was started
    raise AssertionError(what)


def why(g, id, *args):
    return g.cli("why", *args, id)


def asked(g, id, *args):
    """The record is there a moment after the client has its answer."""
    def there():
        code, out, _ = g.cli("why", *args, id, status=None)
        return out if code == 0 else None
    return wait_for(there, "why %s" % id)


def story(g, r):
    return asked(g, r.get("X-Request-Id"))


def as_json(g, id):
    return json.loads(asked(g, id, "-o", "json"))


def test_a_refusal_and_everything_about_it(gw):
    for _ in range(2):
        assert gw.get("/orders").status == 200
    r = gw.get("/orders")
    assert r.status == 429
    out = story(gw, r)
    lines = out.splitlines()
    assert lines[0] == "request   " + r.get("X-Request-Id")
    assert re.search(r"^ +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z  GET test\.example/orders  from 127\.0\.0\.1$", out, re.M)
    assert "result    429 rate_limited: more requests than allowed" in lines
    assert "          by policy rate-limit/two" in lines
    assert "          %s, generation 1" % line_of(gw, "two:") in lines
    assert "listener  main" in lines and "service   all" in lines
    assert re.search(r"^  all/create +no: it does not take GET +%s$" % re.escape(line_of(gw, "create")), out, re.M), out
    assert re.search(r"^  all/vip +no: its condition does not hold ", out, re.M), out
    assert re.search(r"^  all/list +yes ", out, re.M), out
    assert "never" not in out
    assert re.search(r"^  rate-limit/two +refused +2 of 2 used, next in \d+(\.\d+)? s ", out, re.M), out
    assert "upstream  not asked" in lines
    assert re.search(r"^times     total \d+ us: policies \d+ ", out, re.M), out

    j = as_json(gw, r.get("X-Request-Id"))
    assert j["http.response.status_code"] == 429 and j["reason"] == "rate_limited" and j["generation"] == 1
    assert j["listener"] == "main" and j["service"] == "all" and j["route"] == "all/list" and j["routes_before"] == 2
    assert [(m["route"], m["why"]) for m in j["missed"]] == [("all/create", "method"), ("all/vip", "condition")]
    assert j["policy"] == "rate-limit/two" and j["config"] == line_of(gw, "two:")
    assert [(p["policy"], p["decision"]) for p in j["policies"]] == [("rate-limit/two", "refused")]
    assert j["policies"][0]["text"].startswith("2 of 2 used")
    assert j["attempts"] == []


def test_a_success(gw):
    """What was forwarded is told too; its id was asked for by nobody, so the records are looked through."""
    gw.get("/orders", headers=[("X-Vip", "1")])

    def last():
        out = gw.cli("stat", "--records", "1")
        return json.loads(out) if out else None
    rec = wait_for(last, "a record")
    out = asked(gw, rec["http.request.id"])
    assert "result    200" in out.splitlines()
    assert re.search(r"^  all/vip +yes ", out, re.M)
    assert re.search(r"^  origin/127\.0\.0\.1:\d+ +answered 200 after \d+ us$", out, re.M), out
    assert "policies  none was asked" in out
    m = re.search(r"times     total (\d+) us: policies \d+ \(held back 0\), connect (\d+), first byte (\d+)", out)
    total, connect, first = map(int, m.groups())
    assert 0 < connect <= first <= total
    # Where it stands: the route.
    assert line_of(gw, '"vip"') + ", generation 1" in out


def test_attempts_that_failed(gw):
    r = gw.get("/down")
    assert r.status == 502
    out = story(gw, r)
    assert re.search(r"^  down/127\.0\.0\.1:\d+ +connect_refused: .* \(Connection refused\) after \d+ us$", out, re.M), out
    j = as_json(gw, r.get("X-Request-Id"))
    assert j["attempts"][0]["reason"] == "connect_refused" and j["attempts"][0]["error"] == "Connection refused"

    # One target of two is dead: sooner or later the dead one is asked first.
    def both():
        for s in gw.cli("stat", "--records", "50").splitlines():
            j = json.loads(s)
            if len(j["attempts"]) == 2:
                return j["http.request.id"]
        assert gw.get("/half").status == 200
        return None
    out = why(gw, wait_for(both, "a retry"))
    attempts = out[out.index("upstream\n"):out.index("times")].splitlines()[1:]
    assert len(attempts) == 2 and "connect_refused" in attempts[0] and "answered 200" in attempts[1], out


def test_every_answer_of_its_own_can_be_asked_about(gw):
    """Refusals, redirects, canned answers, invalid requests: X-Request-Id is there, once, and why knows it."""
    long = "x" * 9000
    wanted = [
        (gw.get("/hello"), 200, "all/hello"),
        (gw.get("/away"), 302, "all/away"),
        (gw.get("/x", port=gw.ports[1]), 308, "listener  tls"),
        (gw.get("/nothing"), 404, "none takes it"),
        (gw.ask("DELETE", "/orders"), 405, "all/create"),
        (gw.ask("CONNECT", "test.example:443"), 405, "405 method_not_allowed"),
        (gw.get("/down"), 502, "all/down"),
        (gw.raw(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")[0], 400, "400 bad_host"),
        (gw.raw(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1x\r\n\r\n")[0], 400, "400 bad_length"),
        (gw.raw(b"\x16\x03\x01\x00\xa5\r\n\r\n")[0], 400, "400 bad_"),
        (gw.get("/" + long), 414, "414 target_too_long"),
        (gw.raw(b"GET /%2e%2e%zz HTTP/1.1\r\nHost: a\r\n\r\n")[0], 400, "400 "),
    ]
    for r, status, words in wanted:
        assert r.status == status, (r, words)
        assert re.fullmatch(r"[0-9a-f]{32}", r.get("X-Request-Id")), r
        out = story(gw, r)
        assert words in out and "result    %d" % status in out, out
    assert len({r.get("X-Request-Id") for r, _, _ in wanted}) == len(wanted)


def test_on_request_every_response(gateway, origin):
    g = gateway(config(origin(), policies='rid: { type = "request-id"; };', service='policies = [ "rid" ];'))
    with g.client() as c:
        ids = [c.get("/%d" % i).get("X-Request-Id") for i in range(3)]
    assert len(set(ids)) == 3
    for i, id in enumerate(ids):
        out = asked(g, id)
        assert "test.example/%d " % i in out and "request-id/rid               passed" in out


def test_prefix_and_given_ids(gateway, origin):
    g = gateway(config(origin(), policies='rid: { type = "request-id"; };', service='policies = [ "rid" ];',
                       listener='trust = [ "127.0.0.1" ];'))
    own = g.get("/own").get("X-Request-Id")
    for n in (8, 9, 16, 17, 31):
        assert "/own " in asked(g, own[:n])
        assert "/own " in why(g, own[:n].upper())
    assert g.get("/a", headers=[("X-Request-Id", "order-7")]).get("X-Request-Id") == "order-7"
    out = asked(g, "order-7")
    assert "given as order-7" in out and "/a " in out
    # The same one again: the newest is told, the other named.
    g.get("/b", headers=[("X-Request-Id", "order-7")])
    out = wait_for(lambda: "older" in why(g, "order-7") and why(g, "order-7"), "both")
    assert "test.example/b  from" in out.splitlines()[1]
    assert re.search(r"^older ones.*\n\S+Z 127\.0\.0\.1 GET test\.example/a 200 ", out, re.M), out
    # 32 hex digits that are not ours, as tracing makes them.
    theirs = "00112233445566778899aabbccddeeff"
    g.get("/c", headers=[("X-Request-Id", theirs)])
    assert "/c " in asked(g, theirs)


def test_held_back(gw):
    with gw.client() as a, gw.client() as b:
        assert a.get("/held").status == 200
        began = time.monotonic()
        assert b.get("/held").status == 200
        assert time.monotonic() - began > 0.5

    def waited():
        for s in gw.cli("stat", "--records", "9").splitlines():
            j = json.loads(s)
            if j["queue_us"]:
                return j
        return None
    j = wait_for(waited, "a record of one that waited")
    assert j["policies"][0]["decision"] == "waited"
    assert 300000 < j["queue_us"] < 1500000 and abs(j["policies"][0]["held_us"] - j["queue_us"]) < 2
    assert j["total_us"] >= j["queue_us"]
    assert re.search(r"spike-control/slow +waited .*held back \d", why(gw, j["http.request.id"]))


@pytest.mark.parametrize("size", [10, 70000, 1000000])
def test_held_back_with_a_body(gateway, origin, size):
    """The body waits with its request, and arrives whole."""
    o = origin()
    g = gateway(conf(o))
    body = os.urandom(size)
    with g.client() as a, g.client() as b:
        assert a.get("/held").status == 200
        assert b.ask("POST", "/held", body=body).status == 200
    assert o.requests[-1].body == body


def test_a_client_that_leaves_while_it_is_held_back(gw):
    with gw.client() as a:
        assert a.get("/held").status == 200
        c = gw.client()
        c.request("GET", "/held")
        time.sleep(0.1)
        c.reset()

        def ended():
            for s in gw.cli("stat", "--records", "9").splitlines():
                j = json.loads(s)
                if j.get("reason") == "client_gone":
                    return j
            return None
        j = wait_for(ended, "the end of it")
        assert j["total_us"] < 700000, "it was noticed only when its turn came"
        assert j["policies"][0]["decision"] == "waited" and j["attempts"] == []
        assert "no answer client_gone" in why(gw, j["http.request.id"])
        wait_for(lambda: sum(p["exchanges"] for p in gw.stat()["processes"]) == 0, "nothing under way")


def test_refusals_are_kept_longer(gateway, origin):
    g = gateway(config(origin(), routes='{ name = "ok"; match = "GET /ok"; respond = 204; }', workers=1))
    refused = g.get("/no").get("X-Request-Id")
    first = g.get("/ok").get("X-Request-Id")
    asked(g, first)
    pipelined = b"GET /ok HTTP/1.1\r\nHost: a\r\n\r\n" * 200
    with g.client() as c:
        for _ in range(60):             # far more than its ring holds
            c.send(pipelined)
            for _ in range(200):
                assert c.response().status == 204
    nowhere = ("--statedir", g.path("nowhere"))     # memory alone
    code, out, err = g.cli("why", *nowhere, first, status=None)
    assert code == 1 and "overwritten" in err, (out, err)
    assert "404 no_route" in why(g, refused, *nowhere)


def test_not_there(gw):
    gw.get("/hello")
    code, out, err = gw.cli("why", "0" * 32, status=None)
    assert code == 1 and not out
    assert "nothing is known of" in err and "never here" in err and "overwritten" in err
    assert re.search(r"^Next: .*postern trace", err, re.M), err
    code, out, err = gw.cli("why", "abc", status=None)
    assert code == 1 and "8 digits" in err
    for args in ((), ("a", "b"), ("",)):
        code, out, err = gw.cli("why", *args, status=None)
        assert code == 2 and "usage: postern why" in err
    assert gw.cli("why", "-o", "xml", "0" * 32, status=None)[0] == 2
    assert "usage: postern why" in gw.cli("why", "--help")


def test_without_keeper_and_without_gateway(gw):
    """Who is asked when everything is down: what the last worker left in memory."""
    r = gw.get("/nothing")
    before = story(gw, r)
    gw.stable = False
    for pid in gw.children():
        os.kill(pid, signal.SIGSTOP)
    try:
        assert why(gw, r.get("X-Request-Id")) == before
    finally:
        for pid in gw.children():
            os.kill(pid, signal.SIGCONT)
    gw.expect_exit = True
    os.kill(gw.master, signal.SIGKILL)
    gw.wait_exit()
    assert why(gw, r.get("X-Request-Id")) == before


def test_from_the_store(gw):
    """The keeper puts refusals away: they are there when memory is not."""
    r = gw.get("/nothing")
    before = story(gw, r)
    gw.expect_exit = True
    wait_for(lambda: os.path.exists(gw.path("state", "state")), "the store")
    time.sleep(2.5)                     # it commits once a second
    gw.stop()
    os.unlink(gw.path("run", "region"))
    assert why(gw, r.get("X-Request-Id")) == before
    code, out, err = gw.cli("why", "0" * 32, status=None)
    assert code == 1 and "store knows nothing" in err and "Next:" in err
    os.unlink(gw.path("state", "state"))
    code, out, err = gw.cli("why", r.get("X-Request-Id"), status=None)
    assert code == 1 and "Next:" in err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another")
def test_as_the_user_of_the_gateway(gateway, origin, tmp_path):
    g = gateway(config(origin(), gateway='user = "nobody";'))
    r = g.get("/", headers=[("Content-Length", "x")])
    before = story(g, r)
    nobody = pwd.getpwnam("nobody")

    def become():
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
    p = subprocess.run([g.binary, "why", "-c", g.conf, r.get("X-Request-Id")], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, preexec_fn=become, cwd="/")
    if p.returncode == 126 or b"Permission denied" in p.stderr and b"postern why" not in p.stderr:
        pytest.skip("the binary is in a directory that others may not enter")
    assert p.returncode == 0 and p.stdout.decode() == before, p.stderr


def test_what_clients_send_does_not_reach_the_terminal(gw):
    r = gw.get("/nothing%1b[31m")
    assert "\033" not in story(gw, r)
    r, _ = gw.raw(b"GET /\x1b[31m HTTP/1.1\r\nHost: a\r\n\r\n")
    out = story(gw, r)
    assert "\033" not in out


def test_a_reload_changes_the_generation_and_the_line(gw):
    first = gw.get("/nothing")
    with open(gw.conf) as f:
        text = f.read()
    gw.reload("\n\n\n" + text)
    second = gw.get("/nothing")
    assert "generation 1" in story(gw, first) and "generation 2" in story(gw, second)

    def line(s):
        return int(re.search(r"postern\.conf:(\d+), gen", s).group(1))
    assert line(story(gw, second)) == line(story(gw, first)) + 3
