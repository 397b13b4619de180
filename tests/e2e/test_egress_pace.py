"""pace: the limits of a service are obeyed by all workers together, before it has to refuse."""
import threading
import time

import pytest

from harness import assert_problem, config, reply


class Vendor:
    """Lets `quota` requests pass in each window of `span` seconds, and says so in the style it is asked for."""

    def __init__(self, origin, quota, span, style):
        self.quota, self.span, self.style = quota, span, style
        self.lock = threading.Lock()
        self.ends = 0
        self.used = self.refused = self.passed = 0
        self.times = []
        self.origin = origin(self.answer)

    def answer(self, r):
        with self.lock:
            now = time.monotonic()
            if now >= self.ends:
                self.ends, self.used = now + self.span, 0
            left = max(self.quota - self.used, 0)
            reset = int(self.ends - now + 0.999)
            if not left:
                self.refused += 1
                return reply(429, b"slow down", self.says(0, reset) + [("Retry-After", str(reset))])
            self.used += 1
            self.passed += 1
            self.times.append(now)
            says = self.says(left - 1, reset)
        time.sleep(0.005)
        return reply(200, b"ok", says)

    def says(self, left, reset):
        if self.style == "draft":
            return [("RateLimit-Policy", '"day";q=100000;w=86400, "burst";q=%d;w=%d' % (self.quota, self.span)),
                    ("RateLimit", '"day";r=90000;t=80000, "burst";r=%d;t=%d' % (left, reset))]
        if self.style == "old draft":
            return [("RateLimit", "limit=%d, remaining=%d, reset=%d" % (self.quota, left, reset))]
        if self.style == "headers":
            return [("RateLimit-Limit", "%d, %d;w=%d" % (self.quota, self.quota, self.span)),
                    ("RateLimit-Remaining", str(left)), ("RateLimit-Reset", str(reset))]
        if self.style == "epoch":
            return [("X-RateLimit-Limit", str(self.quota)), ("X-RateLimit-Remaining", str(left)),
                    ("X-RateLimit-Reset", str(int(time.time() + reset + 0.999)))]
        return [("X-RateLimit-Remaining", str(left)), ("X-RateLimit-Reset", str(reset))]


def start(gateway, o, pace, workers=1, upstream="", **kw):
    return gateway(config(o, workers=workers, upstream="pace: { %s }; %s" % (pace, upstream), **kw))


def hammer(g, seconds, clients=6):
    got, lock = [], threading.Lock()
    end = time.monotonic() + seconds

    def run():
        with g.client() as c:
            while time.monotonic() < end:
                r = c.get("/x")
                with lock:
                    got.append(r)
                if r.closes:
                    return
    threads = [threading.Thread(target=run) for _ in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return got


@pytest.mark.parametrize("style", ["draft", "old draft", "headers", "epoch", "bare"])
def test_the_vendor_never_has_to_refuse(gateway, origin, style):
    v = Vendor(origin, 20, 2, style)
    g = start(gateway, v.origin, 'wait = "10s";', workers=2)
    got = hammer(g, 5)
    assert {r.status for r in got} == {200}
    assert v.refused == 0, "%d refused" % v.refused
    assert v.passed >= 30
    assert g.counter("pace_held_total") > 0


@pytest.mark.parametrize("how", ["seconds", "date"])
def test_retry_after_holds_all_workers(gateway, origin, how):
    state = {"n": 0}

    def answer(r):
        state["n"] += 1
        if state["n"] == 1:
            state["until"] = time.time() + 2
            date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3))
            return reply(503, b"busy", [("Retry-After", "2" if how == "seconds" else date)])
        assert time.time() >= state["until"] - 0.05
        return reply(200)
    o = origin(answer)
    g = start(gateway, o, 'wait = "8s";', workers=4)
    with g.client() as c:
        assert c.get("/x").status == 503            # its answer, as it is
    began = time.monotonic()
    threads = [threading.Thread(target=g.get, args=("/x",)) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert time.monotonic() - began > 1.5 and len(o.requests) == 13 and not o.errors


def test_too_long_a_wait_is_refused_with_retry_after(gateway, origin):
    o = origin(lambda r: reply(429, b"no", [("Retry-After", "30")]))
    g = start(gateway, o, 'wait = "1s";')
    with g.client() as c:
        assert c.get("/x").status == 429
        for _ in range(3):
            r = c.get("/x")
            assert_problem(r, 503, "upstream_paced")
            assert 28 <= int(r.get("retry-after")) <= 30
    assert len(o.requests) == 1
    assert g.counter("pace_refused_total") == 3


def test_a_retry_waits_as_it_is_told(gateway, origin):
    def answer(r):
        return reply(503, b"", [("Retry-After", "1")]) if len(o.requests) == 1 else reply(200)
    o = origin(answer)
    g = start(gateway, o, 'wait = "5s";', upstream='retry: { attempts = 1; on = [ "503" ]; };')
    began = time.monotonic()
    with g.client() as c:
        assert c.get("/x").status == 200
    assert time.monotonic() - began >= 0.99


def test_in_the_order_in_which_they_came(gateway, origin):
    o = origin(lambda r: reply(503, b"", [("Retry-After", "1")]) if len(o.requests) == 1 else reply(200))
    g = start(gateway, o, 'wait = "5s";')
    g.get("/first")
    clients = [g.client() for _ in range(8)]
    for i, c in enumerate(clients):
        c.request("GET", "/%d" % i)
        time.sleep(0.02)
    assert [c.response().status for c in clients] == [200] * 8
    # Each has a connection of its own; the first takes that of /first.
    assert [r.target for r in sorted(o.requests[1:], key=lambda r: r.conn.index)] == ["/%d" % i for i in range(8)]


def test_a_rate_of_our_own(gateway, origin):
    times = []

    def answer(r):
        times.append(time.monotonic())
        return reply(200)
    o = origin(answer)
    g = start(gateway, o, 'learn = false; rate = "20/s"; burst = 2; wait = "5s";', workers=2)
    threads = [threading.Thread(target=g.get, args=("/x",)) for _ in range(15)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    times.sort()
    assert len(times) == 15
    assert times[-1] - times[0] >= 12 / 20 - 0.05
    g.reload(config(o, upstream='pace: { rate = "1/min"; wait = "0s"; };', workers=2))
    r = [g.get("/x") for _ in range(3)]
    assert [x.status for x in r] == [200, 503, 503]
    assert int(r[1].get("retry-after")) in range(50, 61)


def test_why_another_attempt_was_needed_is_said(gateway, origin):
    o = origin()
    o.stop_listening()
    g = start(gateway, o, 'rate = "1/min"; wait = "0s";', upstream='retry: { attempts = 1; on = [ "connect" ]; };')
    with g.client() as c:
        assert_problem(c.get("/x"), 502, "connect_refused")
        assert_problem(c.get("/x"), 503, "upstream_paced")


def test_not_learned_where_it_is_not_wanted(gateway, origin):
    o = origin(lambda r: reply(503, b"", [("Retry-After", "30"), ("RateLimit", '"x";r=0;t=30')]))
    g = start(gateway, o, 'learn = false; rate = "1000/s";')
    with g.client() as c:
        assert [c.get("/x").status for _ in range(5)] == [503] * 5
    assert len(o.requests) == 5


def test_who_leaves_is_not_sent(gateway, origin):
    o = origin(lambda r: reply(503, b"", [("Retry-After", "1")]) if len(o.requests) == 1 else reply(200))
    g = start(gateway, o, 'wait = "5s";')
    g.get("/first")
    leaving = g.client()
    leaving.request("GET", "/leaves")
    time.sleep(0.1)
    leaving.reset()
    assert g.get("/stays").status == 200
    assert o.targets() == ["/first", "/stays"]


@pytest.mark.parametrize("nonsense", [
    [("RateLimit", '"a";r=-1;t=x, ;;;, "b";r=99999999999999999999;t=1')], [("RateLimit", "=,;=;")],
    [("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "")], [("Retry-After", "soon")],
    [("Retry-After", "Mon, 01 Jan 1990 00:00:00 GMT")], [("RateLimit-Remaining", "0")]])
def test_nonsense_holds_nobody(gateway, origin, nonsense):
    o = origin(lambda r: reply(503, b"", nonsense))
    g = start(gateway, o, 'wait = "0s";')
    with g.client() as c:
        assert [c.get("/x").reason for _ in range(3)] == [None] * 3
