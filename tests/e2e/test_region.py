"""The shared region: `postern stat` while the gateway runs; counters outlive workers, reloads and the master."""
import json
import os
import re
import signal
import struct
import threading
import time

import pytest

from harness import config, free_port, reply, run, wait_for


def route(g, name):
    got = [r for r in g.stat()["routes"] if r["route"] == name]
    return got[0] if got else {"requests": 0}


ROUTES = '{ name = "a"; match = "GET /a"; to = "origin"; }, { name = "own"; match = "GET /own"; respond = 204; }'


def test_counters(gateway, origin):
    o = origin()
    g = gateway(config(o, workers=2, routes=ROUTES))
    with g.client() as c:
        for _ in range(7):
            c.get("/a")
        for _ in range(3):
            c.get("/own")
        for _ in range(2):
            assert c.get("/none").status == 404
    wait_for(lambda: g.counter("requests_total") == 12, "12 requests")
    s = g.stat()
    n = s["counters"]
    assert n["connections_total"] == 1 and n["responses_2xx_total"] == 10 and n["responses_4xx_total"] == 2
    assert n["unmatched_total"] == 2 and n["upstream_connects_total"] == 1 and n["upstream_reused_total"] == 6
    assert n["bytes_out_total"] > 0
    assert route(g, "a")["requests"] == 7 and route(g, "own")["requests"] == 3 and route(g, "a")["2xx"] == 7
    targets = [t for t in s["targets"] if t["target"] == "127.0.0.1:%d" % o.port]
    assert targets and targets[0]["requests"] == 7 and targets[0]["upstream"] == "origin"
    assert s["latency"]["count"] == 12


def test_gauges(gateway, origin):
    go = threading.Event()

    def answer(r):
        go.wait(30)
        return reply()
    o = origin(answer)
    g = gateway(config(o, workers=2))
    idle = [g.client() for _ in range(5)]
    busy = [g.client() for _ in range(3)]
    for c in busy:
        c.request("GET", "/")
    wait_for(lambda: (lambda x: (x["connections"], x["exchanges"], x["upstream_connections"]) == (8, 3, 3))(g.stat()["gauges"]), "8 connections, 3 exchanges, 3 upstream connections")
    go.set()
    for c in busy:
        c.response()
    wait_for(lambda: g.stat()["gauges"]["exchanges"] == 0, "no exchange")
    for c in idle + busy:
        c.close()
    wait_for(lambda: g.stat()["gauges"]["connections"] == 0, "no connection")


def test_own_failures_count(gateway, origin):
    g = gateway(config("http://127.0.0.1:%d" % free_port(), routes='{ name = "down"; match = "* /*"; to = "origin"; }'))
    for _ in range(4):
        assert g.get("/").status == 502
    wait_for(lambda: g.counter("requests_total") == 4, "4 requests")
    n = g.stat()["counters"]
    assert n["responses_5xx_total"] == 4 and n["responses_own_total"] == 4 and n["upstream_failures_total"] >= 4
    assert route(g, "down")["failed"] == 4


def test_survive_a_worker(gateway, origin):
    o = origin()
    g = gateway(config(o, workers=2, routes=ROUTES))
    g.stable = False
    for _ in range(20):
        g.get("/a")
    wait_for(lambda: g.counter("requests_total") == 20, "20 requests")
    for p in g.workers():
        os.kill(p, signal.SIGKILL)
    wait_for(lambda: len(g.workers()) == 2, "two workers")
    assert g.counter("requests_total") == 20 and route(g, "a")["requests"] == 20
    for _ in range(5):
        g.get("/a")
    wait_for(lambda: g.counter("requests_total") == 25, "25 requests")
    assert g.stat()["gauges"]["exchanges"] == 0, "what the dead held was not folded back"
    wait_for(lambda: g.stat()["gauges"]["connections"] == 0, "no connection")


def test_survive_a_reload(gateway, origin):
    o = origin()
    g = gateway(config(o, workers=2, routes=ROUTES))
    for _ in range(10):
        g.get("/a")
    wait_for(lambda: g.counter("requests_total") == 10, "10 requests")
    for _ in range(3):
        g.reload(config(o, workers=2, routes='{ name = "new"; match = "GET /new"; to = "origin"; }, ' + ROUTES))
    assert route(g, "a")["requests"] == 10
    g.get("/a")
    g.get("/new")
    wait_for(lambda: route(g, "a")["requests"] == 11 and route(g, "new")["requests"] == 1, "11 and 1")


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_survive_the_master(gateway, origin, sig):
    o = origin()
    g = gateway(config(o, workers=2, routes=ROUTES))
    for _ in range(10):
        g.get("/a")
    wait_for(lambda: g.counter("requests_total") == 10, "10 requests")
    os.kill(g.master, sig)
    g.proc.wait()
    g.start()
    assert g.counter("requests_total") == 10 and route(g, "a")["requests"] == 10
    g.get("/a")
    wait_for(lambda: g.counter("requests_total") == 11, "11 requests")


@pytest.mark.parametrize("damage", ["zeros", "garbage", "short", "empty"])
def test_damaged_region_is_replaced(gateway, origin, damage):
    o = origin()
    g = gateway(config(o))
    g.get("/")
    g.stop()
    path = g.path("run", "region")
    size = os.path.getsize(path)
    with open(path, "r+b") as f:
        if damage == "zeros":
            f.write(b"\0" * 65536)
        elif damage == "garbage":
            f.write(os.urandom(65536))
        else:
            f.truncate(100 if damage == "short" else 0)
    g.start()
    assert g.get("/").status == 200
    wait_for(lambda: g.counter("requests_total") == 1, "one request")


def test_outputs(gateway, origin):
    g = gateway(config(origin(), routes=ROUTES))
    g.get("/a")
    wait_for(lambda: g.counter("requests_total") == 1, "one request")
    for form in ("table", "json", "csv", "prom"):
        code, out, err = run("stat", "-c", g.conf, "-o", form)
        assert code == 0 and out, (form, err)
        assert "requests_total" in out or form == "table", (form, out)
    code, out, err = run("stat", "-c", g.conf)
    assert code == 0 and "worker" in out and "all/a" in out.replace(" ", "") or "a" in out


def test_records(gateway, origin):
    """The recorder tells of each request: who, what, how it went."""
    g = gateway(config(origin(), routes=ROUTES))
    g.get("/a")
    g.get("/none")

    def records():
        code, out, err = run("stat", "-c", g.conf, "--records", "10")
        assert code == 0, err
        got = [json.loads(s) for s in out.splitlines()]
        return got if len(got) == 2 else None
    got = wait_for(records, "two records")
    text = json.dumps(got)
    assert "/a" in text and "/none" in text and "no_route" in text and "200" in text and "404" in text


def test_stat_without_a_gateway(gateway, origin, tmp_path):
    code, out, err = run("stat", "--rundir", str(tmp_path))
    assert code == 1 and err


LIMITS = ('slow: { type = "rate-limit"; rate = "6/h"; burst = 6; by = "{header.x-key}"; };'
          'month: { type = "quota"; quota = "5/month"; by = "{header.x-key}"; };'
          'atonce: { type = "concurrency"; limit = 2; by = "{header.x-key}"; }')
LIMITED = ('{ name = "rate"; match = "GET /rate"; respond = 200; policies = [ "slow" ]; },'
           '{ name = "quota"; match = "GET /quota"; respond = 200; policies = [ "month" ]; },'
           '{ name = "held"; match = "GET /held"; to = "origin"; policies = [ "atonce" ]; }')


def spend(g, path, n, key="k"):
    return [g.get(path, headers=[("x-key", key)]).status for _ in range(n)]


def limited(gateway, origin, **kw):
    """Two of six at the limit, three of five of the quota, are left."""
    g = gateway(config(origin, workers=2, routes=LIMITED, policies=LIMITS, **kw))
    assert spend(g, "/rate", 4) == [200] * 4 and spend(g, "/quota", 2) == [200] * 2
    return g


def assert_limits_went_on(g):
    assert spend(g, "/rate", 4) == [200] * 2 + [429] * 2
    assert spend(g, "/quota", 5) == [200] * 3 + [429] * 2
    assert spend(g, "/rate", 1, "another") == [200] and spend(g, "/quota", 1, "another") == [200]


def stored(g):
    """What has been counted by now is in the store: a checkpoint was begun after it."""
    now = time.time() * 1000
    wait_for(lambda: g.stat()["store"]["stored_at_ms"] > now + 1, "a checkpoint")


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_limits_survive_the_master(gateway, origin, sig):
    g = limited(gateway, origin())
    os.kill(g.master, sig)
    g.proc.wait()
    g.start()
    assert_limits_went_on(g)


def test_under_way_is_nobodys_after_the_master(gateway, origin):
    """What was held by processes that are gone is free."""
    go = threading.Event()

    def answer(r):
        go.wait(30)
        return reply()
    o = origin(answer)
    g = limited(gateway, o)
    clients = [g.client() for _ in range(2)]
    for c in clients:
        c.request("GET", "/held", headers=[("x-key", "k")])
    wait_for(lambda: len(o.heads) == 2, "two at the origin")
    assert spend(g, "/held", 1) == [429]
    for p in g.children() + [g.master]:
        os.kill(p, signal.SIGKILL)
    g.proc.wait()
    go.set()
    g.start()
    # Some of them may have lived longer than their master.
    wait_for(lambda: spend(g, "/held", 3) == [200] * 3, "a limit that nobody uses up")
    for c in clients:
        c.close()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_reboot(gateway, origin, how):
    """The region goes with the machine; the store has limits and quotas, a second old at most."""
    g = limited(gateway, origin())
    stored(g)
    pids = g.children()
    os.kill(g.master, how)
    g.proc.wait()
    wait_for(lambda: not any(os.path.exists("/proc/%d" % p) for p in pids), "the end of all")
    os.unlink(g.path("run", "region"))
    g.start()
    assert g.counter("requests_total") == 0, "that was no new region"
    assert_limits_went_on(g)


def test_reboot_without_a_store(gateway, origin):
    """Both are gone: everything begins anew, and serves."""
    g = limited(gateway, origin())
    g.stop()
    os.unlink(g.path("run", "region"))
    for name in os.listdir(g.path("state")):
        if os.path.isfile(g.path("state", name)):
            os.unlink(g.path("state", name))
    g.start()
    assert spend(g, "/rate", 7) == [200] * 6 + [429]
    assert spend(g, "/quota", 6) == [200] * 5 + [429]


def test_another_layout(gateway, origin):
    """A region of another layout is not looked into; that is said; what the store has goes on."""
    g = limited(gateway, origin())
    stored(g)
    g.stop()
    with open(g.path("run", "region"), "r+b") as f:
        f.seek(8)
        f.write(b"elsewise")
    lines = g.log().count("\n")
    g.start()
    assert re.search(r"region.*another layout", "\n".join(g.log().split("\n")[lines:])), g.log()
    assert g.counter("requests_total") == 0
    assert_limits_went_on(g)


def directory(path):
    """{name: position of its entry} of the region's segments."""
    with open(path, "rb") as f:
        page = f.read(4096)
    n = struct.unpack_from("I", page, 64)[0]
    return {page[72 + 64 * i:104 + 64 * i].rstrip(b"\0").decode(): 72 + 64 * i for i in range(n)}


TABLES = ["stats.pages", "tally", "records", "limit.cells", "quota.cells", "meters.sets", "inflight.sets", "poison", "slots",
          "control"]


@pytest.mark.parametrize("table", TABLES)
def test_another_shape_of_one_table(gateway, origin, table):
    """A table that an older version has left is not taken for ours; all others go on, and what does not fit begins anew."""
    g = limited(gateway, origin())
    g.stop()
    path = g.path("run", "region")
    at = directory(path)[table]
    with open(path, "r+b") as f:
        f.seek(at + 32)
        f.write(struct.pack("I", 99999))
    g.start()
    assert directory(path)[table] > at, "no table of its own was made"
    if table not in ("stats.pages",):
        assert g.counter("requests_total") == 6
    if table not in ("limit.cells", "control"):
        assert spend(g, "/rate", 3) == [200] * 2 + [429]
    else:
        assert spend(g, "/rate", 1) == [200]
    if table not in ("quota.cells", "control"):
        assert spend(g, "/quota", 4) == [200] * 3 + [429]
    else:
        assert spend(g, "/quota", 1) == [200]
    assert spend(g, "/held", 3) == [200] * 3
