"""`postern stat`: its outputs, what it says when there is nothing, and what it must not do."""
import csv
import hashlib
import io
import os
import pty
import re
import shutil
import tempfile
import time

import pytest

from harness import SCALE, Metrics, config, free_port, reply, run, wait_for

ROUTES = ('{ name = "a"; match = "GET /a"; to = "origin"; }, { name = "b,\\"c\\""; match = "GET /b"; respond = 204; },'
          '{ name = "down"; match = "GET /down"; to = "down"; }')


def room_in_memory():
    try:
        v = os.statvfs("/dev/shm")
    except OSError:
        return False
    return v.f_bavail * v.f_frsize > 256 << 20


@pytest.fixture(params=["disk", pytest.param("memory", marks=pytest.mark.skipif(not room_in_memory(), reason="/dev/shm is too small"))])
def gw(request, gateway, origin):
    """The region lies on a disk, or in memory, as /run does: there, what nobody wrote to is a hole."""
    dir = tempfile.mkdtemp(prefix="postern-e2e-", dir="/dev/shm" if request.param == "memory" else "/tmp")
    g = gateway(config(origin(), workers=2, routes=ROUTES,
                       upstreams='down: { targets = [ "http://127.0.0.1:%d" ]; };' % free_port()), dir=dir)
    g.keep_dir = False
    for path, n in (("/a", 5), ("/b", 2), ("/none", 1), ("/down", 1)):
        for _ in range(n):
            g.get(path)
        time.sleep(0.01)                # records of two workers are ordered by the ms
    wait_for(lambda: g.counter("requests_total") == 9, "9 requests")
    return g


def stat(g, *args):
    code, out, err = run("stat", "-c", g.conf, *args)
    assert code == 0, err
    return out


def test_table(gw):
    out = stat(gw)
    lines = out.splitlines()
    assert lines[0].startswith(gw.path("run") + ": 2 workers, ")
    rows = [s.split()[0] for s in lines[3:7]]
    assert rows == ["master", "keeper", "worker", "worker"], out
    assert "worker 0 " in lines[5] and "worker 1 " in lines[6] and "serving" in lines[5]
    assert int(lines[3].split()[1]) == gw.master
    assert re.search(r"^requests_total +9  ", out, re.M)
    assert re.search(r"^latency  p50 \S+  p95 \S+  p99 \S+  mean \S+$", out, re.M)
    assert re.search(r"^all/a +5 +5 +0 +0 +0 ", out, re.M), out
    assert re.search(r"^other +1 +0 +0 +1 ", out, re.M), out
    assert re.search(r"^origin/127.0.0.1:\d+ +5 ", out, re.M), out
    assert "\033" not in out


def test_rundir_names_the_same(gw):
    a = stat(gw).splitlines()
    code, out, err = run("stat", "--rundir", gw.path("run"))
    assert code == 0 and out.splitlines()[0] == a[0], err


def test_json(gw):
    s = gw.stat()
    assert [p["role"] for p in s["processes"]] == ["master", "keeper", "worker", "worker"]
    assert s["processes"][0]["pid"] == gw.master
    assert all(p["state"] == "serving" and p["generation"] == 1 for p in s["processes"])
    assert all(p["heartbeat_age_ms"] < 5000 for p in s["processes"])
    assert s["gauges"]["workers"] == 2
    routes = {(r["service"], r["route"]): r for r in s["routes"]}
    assert routes["all", "a"]["2xx"] == 5 and routes["all", 'b,"c"']["requests"] == 2
    assert routes["all", "down"]["5xx"] == 1 and routes["all", "down"]["failed"] == 1
    assert [r["requests"] for r in s["routes"]] == sorted((r["requests"] for r in s["routes"]), reverse=True)
    lat = s["latency"]
    assert lat["count"] == 9 and 0 < lat["p50_us"] <= lat["p95_us"] <= lat["p99_us"]


def test_csv(gw):
    rows = list(csv.DictReader(io.StringIO(stat(gw, "-o", "csv"))))
    got = {(r["kind"], r["name"], r["key"]): int(r["value"]) for r in rows}
    assert got["total", "", "requests_total"] == 9
    assert got["route", "all/a", "2xx"] == 5 and got["route", 'all/b,"c"', "requests"] == 2
    assert got["process", "master-0", "pid"] == gw.master


def test_prom(gw):
    """The text of /metrics, made here: each sample belongs to a family that was announced, buckets never fall."""
    m = Metrics(stat(gw, "-o", "prom"))
    buckets = {}
    for name, labels, value in m.samples:
        family = re.sub(r"_(bucket|sum|count)$", "", name) if name not in m.types else name
        assert family in m.types, name
        assert m.types[family] != "counter" or name.endswith("_total"), name
        if name.endswith("_bucket"):
            key = (name, tuple(sorted((k, v) for k, v in labels.items() if k != "le")))
            assert buckets.get(key, 0) <= value, (name, labels)
            buckets[key] = value
    assert m.value("postern_requests_total") == 9 and m.value("postern_workers") == 2
    assert m.value("postern_http_requests_total", service="all", route="a", code="200") == 5
    assert m.value("postern_http_requests_total", service="all", route='b,"c"', code="204") == 2
    assert m.value("postern_http_request_duration_seconds_count") == 9


def test_prom_is_what_the_keeper_says(gw):
    """Word for word, but for values that go on by themselves, and what only the keeper knows: the file."""
    def names(text):
        return [re.sub(r',file="[^"]*"| \S+$', "", s) for s in text.splitlines() if s[0] != "#"]
    gw.wait_admin()
    assert names(stat(gw, "-o", "prom")) == names(gw.metrics().text)


KEY = "key-of-acme"
CONSUMERS = 'consumers: { acme: { keys = [ "sha256:%s" ]; }; };' % hashlib.sha256(KEY.encode()).hexdigest()
POLICIES = ('who: { type = "api-key"; header = "x-api-key"; };'
            'tight: { type = "rate-limit"; rate = "1/min"; burst = 2; by = "{consumer}"; }')


@pytest.fixture
def counted(gateway, origin):
    """acme: three times what goes through (10 bytes up, 4 down), two refused by the limit; one without a key."""
    g = gateway(config(origin(lambda r: reply(200, b"four")), head=CONSUMERS, policies=POLICIES,
                       routes='{ name = "a"; match = "* /a"; to = "origin"; },'
                              '{ name = "l"; match = "GET /l"; respond = 204; policies = [ "tight" ]; }',
                       service='policies = [ "who" ];', workers=2))
    key = [("x-api-key", KEY)]
    for _ in range(3):
        assert g.ask("POST", "/a", key, b"0123456789").status == 200
    assert [g.get("/l", headers=key).status for _ in range(4)] == [204, 204, 429, 429]
    assert g.get("/a").status == 401
    wait_for(lambda: g.counter("requests_total") == 8, "8 requests")
    return g


def test_services_policies_consumers(counted):
    s = counted.stat()
    assert [(x["service"], x["requests"], x["2xx"], x["4xx"]) for x in s["services"]] == [("all", 8, 5, 3)]
    assert 0 < s["services"][0]["p50_us"] <= s["services"][0]["p99_us"]
    assert [(x["listener"], x["connections"]) for x in s["listeners"]] == [("main", 8)]
    assert s["connects"][0]["connects"] >= 1 and s["connects"][0]["upstream"] == "origin"
    policies = {(p["type"], p["policy"]): p for p in s["policies"]}
    assert policies["api-key", "who"]["passed"] == 7 and policies["api-key", "who"]["refused"] == 1
    assert policies["rate-limit", "tight"]["passed"] == 2 and policies["rate-limit", "tight"]["refused"] == 2
    acme = [c for c in s["consumers"] if c["consumer"] == "acme"]
    assert len(acme) == 1 and acme[0]["service"] == "all"
    assert (acme[0]["requests"], acme[0]["2xx"], acme[0]["4xx"]) == (7, 5, 2)
    assert acme[0]["bytes_in"] == 30 and acme[0]["bytes_out"] > 12
    assert s["configuration"]["revision"] == 1 and s["configuration"]["last_reload_good"] is True
    wait_for(lambda: counted.stat()["store"]["state"] == "ok", "a store that is ok")


def test_services_policies_consumers_in_the_table(counted):
    out = stat(counted)
    assert re.search(r"^all +8 +5 +0 +3 +0 ", out, re.M), out
    assert re.search(r"^api-key/who +7 +1 +0 +0 +0 +0$", out, re.M), out
    assert re.search(r"^rate-limit/tight +2 +2 ", out, re.M), out
    assert re.search(r"^acme +all +7 +5 +0 +2 +0 +30 +\d+$", out, re.M), out
    assert re.search(r"^store  \S+", out, re.M), out


def test_services_policies_consumers_as_csv(counted):
    rows = list(csv.DictReader(io.StringIO(stat(counted, "-o", "csv"))))
    got = {(r["kind"], r["name"], r["key"]): int(r["value"]) for r in rows}
    assert got["service", "all", "requests"] == 8 and got["policy", "rate-limit/tight", "refused"] == 2
    assert got["consumer", "acme/all", "2xx"] == 5 and got["consumer", "acme/all", "bytes_in"] == 30
    assert got["listener", "main", "connections"] == 8
    assert len(rows) == len(got), "a row twice"


def test_last_records(gw):
    import json
    lines = [json.loads(s) for s in stat(gw, "--records", "3").splitlines()]
    assert [r["url.path"] for r in lines] == ["/b", "/none", "/down"]
    assert lines[1]["reason"] == "no_route" and lines[1]["route"] == "other" or lines[1]["route"] == ""
    down = lines[2]
    assert down["http.response.status_code"] == 502 and down["reason"] == "connect_refused"
    assert down["attempts"] and down["attempts"][0]["error"] == "Connection refused"
    assert re.fullmatch(r"[0-9a-f]{32}", down["http.request.id"])
    assert len(stat(gw, "--records").splitlines()) == 9
    assert len(stat(gw, "--records=1").splitlines()) == 1


def test_looking_costs_nothing(gw):
    """Looking gives no memory to rows that nobody uses, and is quick."""
    path = gw.path("run", "region")
    before = os.stat(path).st_blocks
    began = time.monotonic()
    for _ in range(5):
        stat(gw)
        stat(gw, "--records", "1000")
    assert time.monotonic() - began < 2 * SCALE
    assert os.stat(path).st_blocks - before <= 64
    assert os.stat(path).st_size >= 1 << 30, "its room is address space, not memory"


def test_colour_only_on_a_terminal(gw):
    def on_terminal(**env):
        end, tty = pty.openpty()
        import subprocess
        from harness import POSTERN
        e = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
        e.update(env)
        p = subprocess.Popen([POSTERN, "stat", "-c", gw.conf], stdout=tty, stderr=tty, env=e)
        os.close(tty)
        out = b""
        while True:
            try:
                piece = os.read(end, 65536)
            except OSError:
                break
            if not piece:
                break
            out += piece
        os.close(end)
        assert p.wait() == 0, out
        return out
    assert b"\033[" in on_terminal()
    assert b"\033[" not in on_terminal(NO_COLOR="1")


def test_after_the_gateway(gw):
    """Its counters can be read when it is gone; the exit status tells that it is."""
    gw.expect_exit = True
    gw.stop()
    code, out, err = run("stat", "--rundir", gw.path("run"))
    assert code == 1 and re.search(r"^requests_total +9 ", out, re.M)
    assert "no gateway runs" in err and "Next: " in err


@pytest.mark.parametrize("what", ["nothing", "another boot", "another layout", "no region at all"])
def test_says_what_is_wrong(gw, tmp_path, what):
    region = tmp_path / "region"
    if what in ("another boot", "another layout"):
        with open(gw.path("run", "region"), "rb") as f, open(region, "wb") as to:
            shutil.copyfileobj(io.BytesIO(f.read(65536)), to)
            to.truncate(os.path.getsize(gw.path("run", "region")))
        with open(region, "r+b") as f:
            f.seek(24 if what == "another boot" else 8)
            f.write(b"00000000")
    elif what == "no region at all":
        region.write_bytes(b"hello")
    code, out, err = run("stat", "--rundir", str(tmp_path))
    assert code == 1 and not out
    assert err.startswith("postern stat: ") and "\nNext: " in err
    want = {"nothing": "no gateway runs here", "another boot": "since the machine started",
            "another layout": "not of this version", "no region at all": "not of this version"}[what]
    assert want in err, err


def test_a_configuration_with_errors(gw):
    bad = gw.write("listeners = 7;", "bad.conf")
    code, out, err = run("stat", "-c", bad)
    assert code == 1 and not out and "bad.conf has errors" in err and "Next:" in err
    code, out, err = run("stat", "-c", gw.write("listeners = \"", "torn.conf") + ".not")
    assert code == 1 and not out and "torn.conf.not" in err and "--rundir" in err


def test_a_slip_in_the_file_hides_no_gateway(gateway, origin):
    """An emergency does not wait until somebody has mended the configuration."""
    g = gateway(config(origin()))
    with open(g.conf) as f:
        good = f.read()
    g.write(good.replace("services:", "servces: { }; services:"), os.path.basename(g.conf))
    code, out, err = run("stat", "-c", g.conf)
    assert code == 0 and "worker" in out and "has errors" in err and "check -c" in err
    code, out, err = run("consumer", "add", "-c", g.conf, "acme")
    assert code == 0, err
    code, out, err = run("consumer", "suspend", "-c", g.conf, "acme")
    assert code == 0 and "has errors" in err


@pytest.mark.parametrize("args,word", [
    (["-o", "xml"], '"xml"'), (["--records", "0"], '"0"'), (["--records", "many"], '"many"'),
    (["more"], '"more"'), (["--what"], "what")])
def test_wrong_words(args, word):
    code, out, err = run("stat", *args)
    assert code == 2 and not out and word in err and "usage: postern stat" in err


def test_help():
    code, out, err = run("stat", "--help")
    assert code == 0 and "--records" in out and not err
