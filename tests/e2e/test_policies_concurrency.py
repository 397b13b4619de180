"""concurrency: never more under way than the limit, by all workers together; exact also after a worker was killed."""

import os
import signal
import threading
import time

import pytest

from harness import DEADLINE, Truncated, assert_problem, config, reply, wait_for


class Held:
    """An origin that answers "/hold" only when told to, and counts how many it has at the same time."""

    def __init__(self, origin, pause=0):
        self.go = threading.Event()
        self.lock = threading.Lock()
        self.now = self.most = 0
        self.pause = pause
        self.origin = origin(answer=self.answer)

    def answer(self, r):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        if r.target == "/hold":
            self.go.wait(DEADLINE * 4)
        elif self.pause:
            time.sleep(self.pause)
        with self.lock:
            self.now -= 1
        return reply(200, b"ok")


def limited(gateway, origin, policy, workers=1, pause=0, **kw):
    h = Held(origin, pause)
    g = gateway(config(h.origin, workers=workers, upstream='pool: { idle = 64; };',
                       service='policies = ( { type = "concurrency"; %s } );' % policy, **kw))
    return g, h


def hold(g, h, n, **kw):
    """n requests that are under way at the origin."""
    before = len(h.origin.heads)
    clients = [g.client() for _ in range(n)]
    for c in clients:
        c.request("GET", "/hold", **kw)
    wait_for(lambda: len(h.origin.heads) == before + n, "%d requests at the origin" % n)
    return clients


def test_429(gateway, origin):
    g, h = limited(gateway, origin, "limit = 3;", workers=4)
    clients = hold(g, h, 3)
    for _ in range(8):                  # whichever worker it is
        r = g.get("/x")
        doc = assert_problem(r, 429, "concurrency_exceeded")
        assert "3 be under way" in doc["detail"]
        assert r.get("Retry-After") == "1"
        assert r.get("RateLimit-Policy") == '"concurrency";q=3;qu="concurrent-requests"'
        assert r.get("RateLimit") == '"concurrency";r=0'
    h.go.set()
    assert [c.response().status for c in clients] == [200] * 3
    assert [g.get("/x").status for _ in range(8)] == [200] * 8


def test_a_client_that_leaves_is_not_under_way(gateway, origin):
    g, h = limited(gateway, origin, "limit = 1;")
    c = hold(g, h, 1)[0]
    assert g.get("/x").status == 429
    c.reset()
    wait_for(lambda: g.get("/x").status == 200, "room")


def test_keys(gateway, origin):
    g, h = limited(gateway, origin, 'limit = 1; by = "{header.x-key}";')
    hold(g, h, 1, headers=[("x-key", "a")])
    assert g.get("/x", headers=[("x-key", "a")]).status == 429
    assert g.get("/x", headers=[("x-key", "b")]).status == 200
    assert g.get("/x").status == 200


def test_observe(gateway, origin):
    g, h = limited(gateway, origin, 'limit = 1; mode = "observe";')
    hold(g, h, 1)
    assert g.get("/x").status == 200
    assert g.counter("limit_observed_total") == 1


def test_never_more_at_the_origin(gateway, origin):
    g, h = limited(gateway, origin, "limit = 5;", workers=4, pause=0.005)
    until = time.monotonic() + 2
    got = []

    def run():
        with g.client() as c:
            while time.monotonic() < until:
                got.append(c.get("/x").status)
    threads = [threading.Thread(target=run) for _ in range(16)]
    for t in threads:
        t.start()
    while time.monotonic() < until:
        time.sleep(0.3)
        g.signal(signal.SIGHUP)         # what began before a reload counts as well
    for t in threads:
        t.join()
    assert h.most <= 5 and set(got) == {200, 429}
    hold(g, h, 5)                       # nothing has leaked
    assert g.get("/x").status == 429


@pytest.mark.parametrize("round", [0, 1])
def test_exact_after_a_worker_was_killed(gateway, origin, round):
    g, h = limited(gateway, origin, "limit = 12;", workers=4)
    g.stable = False
    clients = hold(g, h, 12)
    assert g.get("/x").status == 429
    for number in range(round + 1):
        g.kill("worker", number)
    lost = []
    for c in clients:
        try:
            if not c.silent(0.05):
                lost.append(c)
        except (OSError, Truncated):
            lost.append(c)
    more = hold(g, h, len(lost))        # as many as died, and not one more
    assert [g.get("/x").status for _ in range(8)] == [429] * 8
    h.go.set()
    for c in [c for c in clients if c not in lost] + more:
        assert c.response().status == 200
    h.go.clear()
    hold(g, h, 12)
    assert g.get("/x").status == 429
