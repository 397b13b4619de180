"""spike-control: what comes too fast waits for its turn, in order; never faster than the rate, by all workers together."""

import signal
import threading
import time

import pytest

from harness import assert_problem, config


def smooth(gateway, origin, policy, workers=1, **kw):
    o = origin()
    return gateway(config(o, workers=workers, service='policies = ( { type = "spike-control"; %s } );' % policy, **kw)), o


def at_once(g, n, target="/x"):
    """n requests at the same time, each on its own connection: [(response, when it came)], sorted by that."""
    got, go = [], threading.Barrier(n + 1)

    def run(i):
        with g.client() as c:
            go.wait()
            r = c.get(target)
            got.append((r, time.monotonic()))
    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    began = time.monotonic()
    go.wait()
    for t in threads:
        t.join()
    return began, sorted(got, key=lambda x: x[1])


@pytest.mark.parametrize("workers", [1, 4])
def test_never_faster_than_the_rate(gateway, origin, workers):
    g, o = smooth(gateway, origin, 'rate = "40/s"; burst = 3;', workers)
    began, got = at_once(g, 30)
    assert [r.status for r, _ in got] == [200] * 30 and len(o.requests) == 30
    for i, (_, at) in enumerate(got):           # the i-th can not be here before its slot
        assert at - began >= (i + 1 - 3) / 40 - 0.002, i


def test_order_is_kept(gateway, origin):
    g, o = smooth(gateway, origin, 'rate = "20/s";')
    clients = [g.client() for _ in range(10)]
    for i, c in enumerate(clients):
        c.request("GET", "/%d" % i)
        time.sleep(0.01)
    assert [c.response().status for c in clients] == [200] * 10
    assert o.targets() == ["/%d" % i for i in range(10)]


def test_a_full_queue(gateway, origin):
    g, _ = smooth(gateway, origin, 'rate = "1/min"; queue = 2; wait = "10m"; headers = "always";')
    with g.client() as c:
        assert c.get("/x").status == 200
    waiting = [g.client() for _ in range(2)]
    for c in waiting:
        c.request("GET", "/x")
        assert c.silent(0.1)
    r = g.get("/x")
    doc = assert_problem(r, 429, "spike_refused")
    assert "2 wait already" in doc["detail"]
    assert 50 <= int(r.get("Retry-After")) <= 60
    assert r.get("RateLimit-Policy") == '"spike-control";q=1;w=60' and ";r=0;t=" in r.get("RateLimit")


def test_wait_bounds_the_queue(gateway, origin):
    g, _ = smooth(gateway, origin, 'rate = "1/min"; wait = "59s";')
    assert g.get("/x").status == 200
    assert g.get("/x").status == 429


def test_a_client_that_leaves_is_let_go(gateway, origin):
    g, o = smooth(gateway, origin, 'rate = "2/s";')
    assert g.get("/1").status == 200
    c = g.client()
    c.request("GET", "/2")
    assert c.silent(0.05)
    c.reset()
    assert g.get("/3").status == 200
    assert o.targets() == ["/1", "/3"]


def test_reload_while_they_wait(gateway, origin):
    g, o = smooth(gateway, origin, 'rate = "5/s";')
    done = []
    t = threading.Thread(target=lambda: done.extend(at_once(g, 8)[1]))
    t.start()
    time.sleep(0.2)
    g.signal(signal.SIGHUP)
    t.join()
    assert [r.status for r, _ in done] == [200] * 8 and len(o.requests) == 8


def test_by_key_and_observe(gateway, origin):
    g, _ = smooth(gateway, origin, 'rate = "1/h"; wait = "1h"; queue = 0; by = "{path}";')
    assert [g.get(t).status for t in ("/a", "/b", "/a", "/b")] == [200, 200, 429, 429]
    g, _ = smooth(gateway, origin, 'rate = "1/h"; queue = 0; mode = "observe";')
    assert [g.get("/a").status for _ in range(4)] == [200] * 4
    assert g.counter("limit_observed_total") == 3


def test_a_body_comes_while_its_request_waits(gateway, origin):
    g, o = smooth(gateway, origin, 'rate = "5/s";')
    body = b"x" * 300000
    assert g.get("/1").status == 200
    with g.client() as c:
        assert c.ask("POST", "/2", body=body).status == 200
    assert o.requests[-1].body == body


def test_a_graceful_stop_lets_them_have_their_turn(gateway, origin):
    g, o = smooth(gateway, origin, 'rate = "10/s";')
    g.expect_exit, g.stable = True, False
    done = []
    t = threading.Thread(target=lambda: done.extend(at_once(g, 6)[1]))
    t.start()
    time.sleep(0.15)
    g.signal(signal.SIGQUIT)
    t.join()
    assert [r.status for r, _ in done] == [200] * 6 and len(o.requests) == 6


def test_why_says_how_long(gateway, origin):
    g, _ = smooth(gateway, origin, 'rate = "5/s"; queue = 1;')
    _, got = at_once(g, 2)
    r = got[-1][0]
    assert r.status == 200
    _, got = at_once(g, 3)
    refused = [r for r, _ in got if r.status == 429]
    assert refused
    code, out, err = g.run("why", "--rundir", g.path("run"), refused[0].get("x-request-id"))
    assert code == 0, err
    assert "1 wait already, room in " in out and "spike_refused" in out
