"""quota: exactly so many in a window of the calendar, by all workers together, through reloads and crashes."""

import hashlib
import os
import signal
import threading
import time

import pytest

from harness import Truncated, assert_problem, config


def limited(gateway, origin, policy, workers=1, **kw):
    o = origin()
    kw.setdefault("routes", '{ match = "* /*"; respond = 200; }')
    g = gateway(config(o, workers=workers, service='policies = ( { type = "quota"; %s } );' % policy, **kw))
    return g, o


def left_of_minute():
    return 60 - time.time() % 60


def test_429(gateway, origin):
    g, _ = limited(gateway, origin, 'quota = "2/minute"; by = "{header.x-key}"; x_headers = true;')
    if left_of_minute() < 5:
        time.sleep(left_of_minute())
    with g.client() as c:
        assert [c.get("/x", headers=[("x-key", "a")]).status for _ in range(2)] == [200] * 2
        r = c.get("/x", headers=[("x-key", "a")])
        left = left_of_minute()
        assert_problem(r, 429, "quota_exceeded")
        assert "2 per minute" in r.json()["detail"]
        assert left - 1 <= int(r.get("Retry-After")) <= left + 3
        assert r.get("RateLimit-Policy") == '"quota";q=2;w=60'
        assert r.get("RateLimit") == '"quota";r=0;t=%s' % r.get("Retry-After")
        assert r.get("X-RateLimit-Limit") == "2" and r.get("X-RateLimit-Remaining") == "0"
        assert c.get("/x", headers=[("x-key", "b")]).status == 200


def test_plan(gateway, origin):
    keys = {n: hashlib.sha256(n.encode()).hexdigest() for n in ("acme", "globex", "free")}
    o = origin()
    g = gateway(config(o, head='plans: { gold: { quota = [ "3/month", "100/day" ]; zone = "Europe/Berlin"; }; };\n'
                       "consumers: { %s };" % " ".join('%s: { %s keys = [ "sha256:%s" ]; };' %
                                                      (n, 'plan = "gold";' if n != "free" else "", k) for n, k in keys.items()),
                       service='policies = ( { type = "api-key"; }, { type = "quota"; quota = "plan"; } );'))
    for name, want in (("acme", [200] * 3 + [429] * 2), ("globex", [200] * 3 + [429]), ("free", [200] * 6)):
        got = [g.get("/x", headers=[("x-api-key", name)]) for _ in want]
        assert [r.status for r in got] == want, name
        for r in got:
            if r.status == 429:
                assert r.get("RateLimit-Policy").startswith('"gold";q=3;w=')
    assert len(o.requests) == 12


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
    t = [threading.Thread(target=run) for _ in range(16)]
    for x in t:
        x.start()
    return t


@pytest.mark.parametrize("what", ["calm", "reload", "kill"])
def test_all_workers_together(gateway, origin, what):
    g, _ = limited(gateway, origin, 'quota = "777/month"; by = "all";', workers=4)
    g.stable = what != "kill"
    count = []
    began = time.monotonic()
    threads = hammer(g, began + 2.5, count)
    while time.monotonic() < began + 2:
        time.sleep(0.2)
        if what == "reload":
            g.signal(signal.SIGHUP)
        elif what == "kill":
            os.kill(g.workers()[0], signal.SIGKILL)
    for t in threads:
        t.join()
    # A killed worker may have counted what it could not answer: fewer, never more.
    assert sum(count) <= 777
    if what != "kill":
        while g.get("/x").status == 200:        # a slow machine
            count.append(1)
        assert sum(count) == 777
    assert g.get("/x").status == 429


def test_outlives_reload(gateway, origin):
    g, _ = limited(gateway, origin, 'quota = "2/month"; by = "k";')
    assert [g.get("/x").status for _ in range(3)] == [200, 200, 429]
    g.reload()
    assert g.get("/x").status == 429
