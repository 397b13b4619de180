"""rate-limit: never more than rate × T + burst, by all workers together, through reloads and crashes."""

import os
import signal
import threading
import time

import pytest

from harness import Truncated, config, wait_for


def limited(gateway, origin, policy, workers=1, routes=None, **kw):
    o = origin()
    g = gateway(config(o, workers=workers, routes=routes or '{ match = "* /*"; to = "origin"; }',
                       service='policies = ( { type = "rate-limit"; %s } );' % policy, **kw))
    return g, o


def statuses(g, n):
    with g.client() as c:
        return [c.get("/x").status for _ in range(n)]


def test_burst_then_429(gateway, origin):
    g, o = limited(gateway, origin, 'rate = "1/min"; burst = 3; by = "{header.x-key}";')
    with g.client() as c:
        assert [c.get("/x", headers=[("x-key", "a")]).status for _ in range(3)] == [200] * 3
        r = c.get("/x", headers=[("x-key", "a")])
        assert r.status == 429 and r.json()["reason"] == "rate_limited" and "1 in 60 s" in r.json()["detail"]
        assert 50 < int(r.get("Retry-After")) <= 60
        assert r.get("RateLimit-Policy").endswith(';q=1;w=60') and ";r=0;t=" in r.get("RateLimit")
        # A refused request uses nothing, another key is another count, and the connection goes on.
        assert c.get("/x", headers=[("x-key", "b")]).status == 200
    assert len(o.requests) == 4


def test_retry_after_is_true(gateway, origin):
    g, _ = limited(gateway, origin, 'rate = "1/s"; burst = 1;')
    with g.client() as c:
        assert c.get("/x").status == 200
        r = c.get("/x")
        assert r.status == 429 and int(r.get("Retry-After")) == 1
        time.sleep(1.05)
        assert c.get("/x").status == 200


def test_named_headers_and_x_headers(gateway, origin):
    o = origin()
    g = gateway(config(o, policies='gold: { type = "rate-limit"; rate = "100/s"; burst = 5; headers = "always"; x_headers = true; };',
                       service='policies = [ "gold" ];'))
    r = g.get("/x")
    assert r.status == 200 and r.get("RateLimit-Policy") == '"gold";q=100;w=1'
    assert r.get("RateLimit") == '"gold";r=4;t=1'
    assert r.get("X-RateLimit-Limit") == "100" and r.get("X-RateLimit-Remaining") == "4"


def test_several_windows(gateway, origin):
    g, _ = limited(gateway, origin, 'rate = [ "1000/s", "4/h" ]; burst = 4;')
    got = statuses(g, 6)
    assert got == [200] * 4 + [429] * 2


def test_observe(gateway, origin):
    g, _ = limited(gateway, origin, 'rate = "1/h"; burst = 1; mode = "observe";')
    assert statuses(g, 5) == [200] * 5
    wait_for(lambda: g.counter("limit_observed_total") == 4, "four that would have been refused")
    assert g.counter("limit_refused_total") == 0


def test_by_prefix(gateway, origin):
    """A client that changes its address within its prefix is one key."""
    o = origin()
    g = gateway(config(o, listener='trust = [ "127.0.0.0/8" ];',
                       service='policies = ( { type = "rate-limit"; rate = "1/h"; burst = 1; ipv4_prefix = 24; } );'))

    def ask(client):
        return g.get("/x", headers=[("X-Forwarded-For", client)]).status
    assert ask("192.0.2.1") == 200 and ask("192.0.2.77") == 429 and ask("192.0.3.1") == 200
    assert ask("2001:db8:1:2::1") == 200 and ask("2001:db8:1:2:ffff::9") == 429 and ask("2001:db8:1:3::1") == 200


def hammer(g, until, count):
    def run():
        n = 0
        while time.monotonic() < until:
            try:
                with g.client() as c:
                    while time.monotonic() < until:
                        n += c.get("/x").status == 200
            except (OSError, Truncated):
                pass                    # its worker was killed
        count.append(n)
    t = [threading.Thread(target=run) for _ in range(8)]
    for x in t:
        x.start()
    return t


@pytest.mark.parametrize("what", ["calm", "reload", "kill"])
def test_all_workers_together(gateway, origin, what):
    """Four workers, one key: never one more, also through reloads and kill -9. (No lower bound: timings decide nothing.)"""
    rate, burst = 200, 20
    g, _ = limited(gateway, origin, 'rate = "%d/s"; burst = %d; by = "all";' % (rate, burst), workers=4,
                   routes='{ match = "* /*"; respond = 200; }')
    g.stable = what != "kill"
    count = []
    began = time.monotonic()
    threads = hammer(g, began + 2.5, count)
    while time.monotonic() < began + 2:
        time.sleep(0.25)
        if what == "reload":
            g.signal(signal.SIGHUP)
        elif what == "kill":
            os.kill(g.workers()[0], signal.SIGKILL)
    for t in threads:
        t.join()
    took = time.monotonic() - began
    # An answer that a killed worker could not give may have used the limit: fewer, never more.
    assert burst <= sum(count) <= rate * took + burst, (sum(count), took)


def test_outlives_reload(gateway, origin):
    g, _ = limited(gateway, origin, 'rate = "1/h"; burst = 2; by = "k";')
    assert statuses(g, 3) == [200, 200, 429]
    g.reload()
    assert statuses(g, 1) == [429]


def plans(*consumers):
    """Sections for consumers (name, plan), whose key is their name."""
    import hashlib
    return ('plans: { gold: { rate = "100/s"; burst = 7; }; slow: { rate = [ "1/s", "3/h" ]; burst = 3; }; '
            'open: { quota = "1000/day"; }; };\nconsumers: { %s };' % " ".join(
                '%s: { %s keys = [ "sha256:%s" ]; };' % (n, 'plan = "%s";' % p if p else "", hashlib.sha256(n.encode()).hexdigest())
                for n, p in consumers))


BY_PLAN = 'policies = ( { type = "api-key"; optional = true; }, { type = "rate-limit"; rate = "plan"; %s } );'


def test_by_plan(gateway, origin):
    o = origin()
    g = gateway(config(o, workers=2, head=plans(("acme", "slow"), ("globex", "slow"), ("free", None), ("wide", "open")),
                       service=BY_PLAN % "x_headers = true;"))

    def ask(key):
        return g.get("/x", headers=[("x-api-key", key)] if key else [])
    for name in ("acme", "globex"):
        assert [ask(name).status for _ in range(3)] == [200] * 3
        r = ask(name)
        assert r.status == 429 and r.json()["reason"] == "rate_limited" and "slow" in r.json()["detail"]
        assert r.get("RateLimit-Policy") == '"slow";q=3;w=3600' and r.get("RateLimit").startswith('"slow";r=0;t=')
        assert r.get("X-RateLimit-Limit") == "3" and 1100 < int(r.get("Retry-After")) <= 1200
    for name in ("free", "wide", None):         # no plan, a plan without rates, nobody: not limited
        assert [ask(name).status for _ in range(6)] == [200] * 6


def test_by_plan_all_workers_together(gateway, origin):
    """32 connections, four workers, one consumer: never more than its plan, and not much less."""
    g = gateway(config(origin(), workers=4, head=plans(("acme", "gold")), service=BY_PLAN % "",
                       routes='{ match = "* /*"; respond = 200; }'))
    count, began = [], time.monotonic()
    until = began + 3

    def run():
        n = 0
        with g.client() as c:
            while time.monotonic() < until:
                n += c.get("/x", headers=[("x-api-key", "acme")]).status == 200
        count.append(n)
    threads = [threading.Thread(target=run) for _ in range(32)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    took = time.monotonic() - began
    assert sum(count) <= 100 * took + 7
    assert sum(count) >= 0.5 * 3 * 100          # a slow machine may not even ask so often


def test_a_rate_that_is_changed_begins_anew(gateway, origin):
    conf = 'rate = "%s"; burst = 1; by = "k";'
    o = origin()
    text = config(o, service='policies = ( { type = "rate-limit"; %s } );' % conf)
    g = gateway(text % "1/h")
    assert statuses(g, 2) == [200, 429]
    g.write(text % "1000/s")
    g.reload()
    time.sleep(0.01)
    assert g.get("/x").status == 200


def test_a_plan_needs_somebody(gateway, origin):
    """rate = "plan" where nobody finds out who the consumer is can only be a mistake."""
    g = gateway(config(origin(), head=plans(("acme", "gold")), service='policies = ( { type = "rate-limit"; rate = "plan"; } );'),
                start=False)
    code, out, err = g.run("check", "-c", g.conf)
    assert code == 1 and "E412" in out + err
