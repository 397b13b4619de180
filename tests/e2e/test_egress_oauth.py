"""OAuth 2 client credentials: one fetch whoever waits, renewed before it expires, precise when it fails."""
import base64
import json
import os
import signal
import threading
import time
from urllib.parse import parse_qs

import pytest

import pki
from harness import Truncated, assert_problem, config, reply, wait_for
from test_egress_credentials import bytes_of
from test_upgrade import upgradable, upgrade


class Tokens:
    """An endpoint that gives token-1, token-2 …"""

    def __init__(self, origin, life=3600, delay=0):
        self.life, self.delay, self.fail = life, delay, None
        self.n = 0
        self.lock = threading.Lock()
        self.origin = origin(self.answer)

    def answer(self, r):
        with self.lock:
            self.n += 1
            n = self.n
        time.sleep(self.delay)
        if self.fail:
            return self.fail
        return json_reply({"access_token": "token-%d" % n, "token_type": "Bearer", "expires_in": self.life})


def json_reply(doc, status=200):
    return reply(status, json.dumps(doc).encode(), [("Content-Type", "application/json")])


def upstreams(tokens, more="", timeout=""):
    return ('tokens: { targets = [ "%s" ]; %s };' % (tokens.origin.target, timeout),
            'credential: { type = "oauth2"; token_upstream = "tokens"; token_path = "/oauth2/token?x=1"; '
            'client_id = "us & them"; client_secret = "s:cr%%t"; %s };' % more)


def start(gateway, o, tokens, more="", timeout="", **kw):
    other, credential = upstreams(tokens, more, timeout)
    return gateway(config(o, upstreams=other, upstream=credential, **kw))


def at_once(g, n):
    got = []

    def run():
        with g.client() as c:
            got.append(c.get("/x"))
    threads = [threading.Thread(target=run) for _ in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return got


def test_the_request_for_a_token(gateway, origin):
    t, o = Tokens(origin), origin()
    g = start(gateway, o, t, 'scope = "read write"; audience = "https://api.example.com/";')
    with g.client() as c:
        assert c.get("/x").status == 200
    r = t.origin.requests[0]
    assert (r.method, r.target) == ("POST", "/oauth2/token?x=1")
    assert r.get("host") == t.origin.target[7:]
    assert r.get("content-type") == "application/x-www-form-urlencoded"
    assert parse_qs(r.body.decode(), strict_parsing=True) == {
        "grant_type": ["client_credentials"], "scope": ["read write"], "audience": ["https://api.example.com/"]}
    # RFC 6749 §2.3.1: encoded as in a form before base64
    assert base64.b64decode(r.get("authorization")[6:]) == b"us%20%26%20them:s%3Acr%25t"
    assert o.requests[0].get("authorization") == "Bearer token-1"


def test_single_flight(gateway, origin):
    t, o = Tokens(origin, delay=0.3), origin()
    g = start(gateway, o, t)
    assert [r.status for r in at_once(g, 20)] == [200] * 20
    assert t.n == 1 and len(o.requests) == 20
    assert {r.get("authorization") for r in o.requests} == {"Bearer token-1"}
    assert [r.status for r in at_once(g, 5)] == [200] * 5 and t.n == 1


def test_renewed_early_while_the_old_one_serves(gateway, origin):
    t, o = Tokens(origin, life=4), origin()
    g = start(gateway, o, t, 'early = "3s";')        # at most half its life: after 2 s
    with g.client() as c:
        c.get("/x")
        t.delay = 1
        time.sleep(2.2)
        began = time.monotonic()
        assert c.get("/x").status == 200
        assert time.monotonic() - began < 0.5        # nobody waits
        assert o.requests[-1].get("authorization") == "Bearer token-1"
        wait_for(lambda: c.get("/x").status == 200 and o.requests[-1].get("authorization") == "Bearer token-2",
                 every=0.1)
    assert t.n == 2


def test_an_expired_one_is_not_used(gateway, origin):
    t, o = Tokens(origin, life=1), origin()
    g = start(gateway, o, t)
    with g.client() as c:
        c.get("/x")
        time.sleep(1.2)
        c.get("/x")
    assert [r.get("authorization") for r in o.requests] == ["Bearer token-1", "Bearer token-2"]


def test_refused(gateway, origin):
    t, o = Tokens(origin), origin()
    t.fail = json_reply({"error": "invalid_client"}, 401)
    g = start(gateway, o, t)
    with g.client() as c:
        for _ in range(5):
            r = c.get("/x")
            assert_problem(r, 502, "upstream_credential_refused")
            assert r.get("retry-after") == "1"
        assert t.n == 1, "a failure holds for a second"
        assert "invalid_client" in g.log() and not o.requests
        t.fail = None
        time.sleep(1.1)
        assert c.get("/x").status == 200
    assert g.counter("tokens_failed_total") == 1 and g.counter("tokens_fetched_total") == 1


def test_what_is_no_token(gateway, origin):
    t, o = Tokens(origin), origin()
    g = start(gateway, o, t)
    for bad in (reply(200, b"no json"), json_reply([1]), json_reply({"access_token": 7}),
                json_reply({"access_token": "a\r\nX-Evil: 1", "token_type": "bearer"}),
                json_reply({"access_token": "x", "token_type": "mac"}), json_reply({"expires_in": 5}),
                reply(200, b"[" * 20000), reply(200, b"x" * 200000), reply(500, b"")):
        t.fail = bad
        with g.client() as c:
            doc = assert_problem(c.get("/x"), {502, 503})
            assert doc["reason"].startswith("upstream_credential_"), doc
        time.sleep(1.05)
    assert not o.requests
    t.fail = json_reply({"access_token": "odd", "token_type": "BEARER", "expires_in": "3600"})
    with g.client() as c:
        assert c.get("/x").status == 200
    assert o.requests[-1].get("authorization") == "Bearer odd"


def test_nobody_there(gateway, origin):
    t, o = Tokens(origin), origin()
    g = start(gateway, o, t)
    t.origin.stop_listening()
    with g.client() as c:
        assert_problem(c.get("/x"), 503, "upstream_credential_unreachable")


def test_too_late(gateway, origin):
    t, o = Tokens(origin, delay=5), origin()
    g = start(gateway, o, t, timeout='timeout: { connect = "300ms"; response = "500ms"; };')
    began = time.monotonic()
    got = at_once(g, 4)
    for r in got:
        assert_problem(r, 503, "upstream_credential_unreachable")
    assert 0.5 < time.monotonic() - began < 3 and not o.requests


def test_who_leaves_while_waiting(gateway, origin):
    t, o = Tokens(origin, delay=0.5), origin()
    g = start(gateway, o, t)
    leaving = [g.client() for _ in range(5)]
    for c in leaving:
        c.request("GET", "/leaves")
    time.sleep(0.1)
    for c in leaving:
        c.reset()
    with g.client() as c:
        assert c.get("/stays").status == 200
    assert o.targets() == ["/stays"] and t.n == 1


def test_a_reload_keeps_it_a_new_secret_does_not(gateway, origin):
    t, o = Tokens(origin), origin()
    other, credential = upstreams(t)
    conf = config(o, upstreams=other, upstream=credential)
    g = gateway(conf)
    with g.client() as c:
        c.get("/x")
    g.reload()
    with g.client() as c:
        c.get("/x")
    assert t.n == 1
    g.reload(conf.replace("s:cr%t", "another"))
    with g.client() as c:
        c.get("/x")
    assert t.n == 2 and o.requests[-1].get("authorization") == "Bearer token-2"


def test_a_connection_that_died_while_idle(gateway, origin):
    t, o = Tokens(origin, life=1), origin()
    g = start(gateway, o, t)
    with g.client() as c:
        c.get("/x")
        for conn in list(t.origin.conns):
            conn.sock.shutdown(2)
        time.sleep(1.2)
        assert c.get("/x").status == 200
    assert t.n == 2


def test_stopping_while_it_is_fetched(gateway, origin):
    t, o = Tokens(origin, delay=3), origin()
    g = start(gateway, o, t)
    with g.client() as c:
        c.request("GET", "/x")
        wait_for(lambda: t.n == 1)


@pytest.mark.slow
def test_a_token_that_is_refused_is_doubted(gateway, origin):
    """Revoked before its time: after a 401 a token that is not new is fetched anew."""
    t = Tokens(origin)
    revoked = set()

    def answer(r):
        return reply(401 if r.get("authorization") in revoked else 200)
    o = origin(answer)
    g = start(gateway, o, t)
    with g.client() as c:
        assert c.get("/x").status == 200
        revoked.add("Bearer token-1")
        assert [c.get("/x").status for _ in range(3)] == [401] * 3 and t.n == 1
        time.sleep(10.1)
        assert c.get("/x").status == 401
        assert c.get("/x").status == 200
    assert t.n == 2


def test_over_tls_and_http2(gateway, origin, tmp_path):
    """Endpoint and service by https and h2, by way of listeners of the same gateway."""
    p = pki.Pki(tmp_path)
    p.cert("inner", "inner.test", san=["DNS:localhost", "IP:127.0.0.1"])
    t, o = Tokens(origin), origin()
    tls = 'tls: { ca = "%s"; }; http = "h2";' % p.path("ca.pem")
    g = gateway(config(
        "https://127.0.0.1:@PORT2@", upstream=tls + upstreams(t)[1],
        listeners='inner: { bind = [ "127.0.0.1:@PORT2@" ]; http = [ "h2" ]; tls: { cert = "%s"; key = "%s"; }; };'
                  % (p.path("inner.pem"), p.path("inner.key")),
        upstreams='tokens: { targets = [ "https://127.0.0.1:@PORT2@" ]; %s }; behind: { targets = [ "%s" ]; }; '
                  'endpoint: { targets = [ "%s" ]; };' % (tls, o.target, t.origin.target),
        service='on = [ "main" ];',
        services='inner: { domains = [ "*" ]; on = [ "inner" ]; routes = ( '
                 '{ match = "POST /oauth2/token"; to = "endpoint"; }, { match = "* /*"; to = "behind"; } ); };'))
    assert [r.status for r in at_once(g, 5)] == [200] * 5
    assert t.n == 1
    assert {r.get("authorization") for r in o.requests} == {"Bearer token-1"}
    assert parse_qs(t.origin.requests[0].body.decode())["grant_type"] == ["client_credentials"]


# ---- all workers together

def connections(g):
    return [p["connections"] for p in g.stat()["processes"] if p["role"] == "worker" and p["state"] == "serving"]


def spread(g, workers=4):
    """Connections, some to each worker."""
    got = []

    def each_has_some():
        got.extend(g.client() for _ in range(4))
        time.sleep(1.1)                 # the workers count theirs once a second
        c = connections(g)
        return len(c) == workers and all(c)
    wait_for(each_has_some, "a connection to each worker")
    return got


def ask_all(clients):
    """A request on each, all of them under way before the first answer is read."""
    for c in clients:
        c.request("GET", "/x")
    return [c.response().status for c in clients]


def pid_of(conn, pids):
    """Which of the processes has the other end of an origin's connection."""
    port = "%04X" % conn.sock.getpeername()[1]
    with open("/proc/net/tcp") as f:
        inodes = ["socket:[%s]" % s[9] for s in (line.split() for line in f) if s[1].endswith(":" + port)]
    for pid in pids:
        for fd in os.listdir("/proc/%d/fd" % pid):
            try:
                if os.readlink("/proc/%d/fd/%s" % (pid, fd)) in inodes:
                    return pid
            except OSError:
                pass
    raise AssertionError("nobody has port %s" % port)


def test_one_flight_for_all_workers(gateway, origin):
    t, o = Tokens(origin, delay=0.5), origin()
    g = start(gateway, o, t, workers=4)
    clients = spread(g)
    began = time.monotonic()
    assert ask_all(clients) == [200] * len(clients)
    assert time.monotonic() - began < 0.5 + 0.3, "woken late"
    assert t.n == 1 and {r.get("authorization") for r in o.requests} == {"Bearer token-1"}
    assert ask_all(clients) == [200] * len(clients) and t.n == 1
    wait_for(lambda: g.counter("tokens_fetched_total") == 1)


def test_one_renewal_for_all_workers(gateway, origin):
    t, o = Tokens(origin, life=4), origin()
    g = start(gateway, o, t, 'early = "3s";', workers=4)
    clients = spread(g)
    assert ask_all(clients) == [200] * len(clients)
    t.delay = 0.5
    end, slowest = time.monotonic() + 3, 0
    while time.monotonic() < end:
        began = time.monotonic()
        assert ask_all(clients) == [200] * len(clients)
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 0.4, "somebody waited"
    assert t.n == 2
    assert ask_all(clients) == [200] * len(clients)
    assert {r.get("authorization") for r in o.requests[-len(clients):]} == {"Bearer token-2"}


@pytest.mark.slow
def test_a_token_is_doubted_once_by_all_workers(gateway, origin):
    t = Tokens(origin)
    revoked = set()
    o = origin(lambda r: reply(401 if r.get("authorization") in revoked else 200))
    g = start(gateway, o, t, workers=4)
    clients = spread(g)
    assert ask_all(clients) == [200] * len(clients)
    time.sleep(10.1)
    revoked.add("Bearer token-1")
    assert ask_all(clients[:1]) == [401]
    # The others hear of it: none of them uses it any more.
    assert ask_all(clients) == [200] * len(clients)
    assert t.n == 2
    # All of them are refused at once.
    time.sleep(10.1)
    revoked.add("Bearer token-2")
    assert 401 in ask_all(clients)
    assert ask_all(clients) == [200] * len(clients)
    assert t.n == 3


def test_the_worker_that_fetches_is_killed(gateway, origin):
    t, o = Tokens(origin, delay=20), origin()
    g = start(gateway, o, t, workers=4)
    g.stable = False
    clients = spread(g)
    for c in clients:
        c.request("GET", "/x")
    wait_for(lambda: t.n == 1)
    t.delay = 0
    began = time.monotonic()
    os.kill(pid_of(t.origin.conns[0], g.workers()), signal.SIGKILL)
    answered = 0
    for c in clients:
        try:
            assert c.response().status == 200
            answered += 1
        except (Truncated, ConnectionError):
            pass                        # its own clients
    assert time.monotonic() - began < 5 and answered >= 3
    assert t.n == 2 and {r.get("authorization") for r in o.requests} == {"Bearer token-2"}
    wait_for(lambda: len(g.workers()) == 4)
    assert g.get("/x").status == 200 and t.n == 2


def test_it_outlives_reloads_workers_and_binaries(gateway, origin):
    t, o = Tokens(origin), origin()
    other, credential = upstreams(t)
    conf = config(o, upstreams=other, upstream=credential, workers=4)
    g = upgradable(gateway, conf)
    g.stable = False
    assert [r.status for r in at_once(g, 16)] == [200] * 16
    g.reload(conf.replace("workers = 4", "workers = 2"))
    assert [r.status for r in at_once(g, 16)] == [200] * 16
    for n in (0, 1):
        g.kill_worker(n)
    assert [r.status for r in at_once(g, 16)] == [200] * 16
    upgrade(g)
    assert [r.status for r in at_once(g, 16)] == [200] * 16
    os.kill(g.master, signal.SIGKILL)
    g.start()
    assert [r.status for r in at_once(g, 16)] == [200] * 16
    assert t.n == 1 and {r.get("authorization") for r in o.requests} == {"Bearer token-1"}


@pytest.mark.parametrize("drain", [1, 20])
def test_the_worker_that_fetches_is_drained(gateway, origin, drain):
    """It publishes what comes while it drains; when it has to go, another fetches."""
    t, o = Tokens(origin, delay=3), origin()
    other, credential = upstreams(t)
    g = upgradable(gateway, config(o, upstreams=other, upstream=credential, gateway='drain = "%ds";' % drain))
    g.stable = False
    with g.client() as c:
        c.request("GET", "/old")
        wait_for(lambda: t.n == 1)
        t.delay = 0
        upgrade(g)
        with g.client() as d:
            assert d.get("/new").status == 200
        if drain > 3:
            assert c.response().status == 200 and t.n == 1
        else:
            assert t.n == 2


def test_one_try_a_second_of_all_workers(gateway, origin):
    t, o = Tokens(origin), origin()
    t.fail = json_reply({"error": "invalid_client"}, 401)
    g = start(gateway, o, t, workers=4)
    clients = spread(g)
    began = time.monotonic()
    while time.monotonic() - began < 3.5:
        assert ask_all(clients) == [502] * len(clients)
    assert 3 <= t.n <= 4, "one in each second"
    assert g.counter("tokens_failed_total") == t.n
    t.fail = None
    time.sleep(1.1)
    before = t.n
    assert ask_all(clients) == [200] * len(clients) and t.n == before + 1


def test_nobody_reads_it_in_the_region(gateway, origin):
    mark = "eyJhbGciOiJub25lIn0-not-to-be-found"
    t, o = Tokens(origin), origin()
    t.fail = json_reply({"access_token": mark, "expires_in": 3600})
    g = start(gateway, o, t, workers=2)
    assert [r.status for r in at_once(g, 8)] == [200] * 8
    assert {r.get("authorization") for r in o.requests} == {"Bearer " + mark} and t.n == 1
    data = b"".join(bytes_of(g.path("run", "region")))
    assert b"upstream.tokens" in data
    for piece in (mark, mark[:16], mark[-16:], "s:cr%t"):
        assert piece.encode() not in data
