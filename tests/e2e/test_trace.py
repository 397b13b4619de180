"""`postern trace`: requests as they end, all of them or those of a query."""
import json
import os
import re
import signal
import subprocess
import time

import pytest

from harness import DEADLINE, config, free_port, reply, wait_for

ROUTES = ('{ name = "ok"; match = "GET /ok"; respond = 204; }, { name = "slow"; match = "GET /slow"; to = "origin"; },'
          '{ name = "down"; match = "GET /down"; to = "down"; }')


class Trace:
    """A running `postern trace`; lines as they come."""

    def __init__(self, g, *args):
        self.p = subprocess.Popen([g.binary, "trace", "-c", g.conf, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  stdin=subprocess.DEVNULL, env={**os.environ, "NO_COLOR": "1"})
        os.set_blocking(self.p.stdout.fileno(), False)
        self.got = b""
        # What ended before it began is not shown: it has begun when it ignores SIGPIPE.
        wait_for(self.has_begun, "trace at its place")

    def has_begun(self):
        with open("/proc/%d/status" % self.p.pid) as f:
            m = re.search(r"^SigIgn:\s*([0-9a-f]+)", f.read(), re.M)
        return int(m.group(1), 16) & 1 << signal.SIGPIPE - 1

    def lines(self):
        try:
            while not self.p.stdout.closed:
                more = os.read(self.p.stdout.fileno(), 1 << 20)
                self.got += more
                if not more:
                    break
        except BlockingIOError:
            pass
        return self.got.decode().splitlines()

    def wait(self, n):
        return wait_for(lambda: len(self.lines()) >= n and self.lines(), "%d lines of trace" % n)

    def end(self, sig=signal.SIGINT):
        self.p.send_signal(sig)
        return self.over()

    def over(self):
        status = self.p.wait(DEADLINE)
        os.set_blocking(self.p.stdout.fileno(), True)
        self.got += self.p.stdout.read()
        err = self.p.stderr.read().decode()
        self.close()
        return status, err

    def close(self):
        if self.p.poll() is None:
            self.p.kill()
            self.p.wait()
        self.p.stdout.close()
        self.p.stderr.close()


@pytest.fixture
def gw(gateway, origin):
    def slow(r):
        time.sleep(0.4)
        return reply(200, b"at last")
    return gateway(config(origin(slow), workers=2, routes=ROUTES,
                          upstreams='down: { targets = [ "http://127.0.0.1:%d" ]; };' % free_port()))


@pytest.fixture
def trace(gw):
    running = []

    def start(*args):
        running.append(Trace(gw, *args))
        return running[-1]
    yield start
    for t in running:
        t.close()


def test_lines(gw, trace):
    gw.get("/ok?before")
    t = trace()
    gw.get("/ok")
    r = gw.get("/no")
    down = gw.get("/down")
    lines = t.wait(3)
    assert len(lines) == 3
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z 127\.0\.0\.1 "
    by = {re.search(r"GET (\S+)", s).group(1): s for s in lines}
    assert re.fullmatch(stamp + r"GET test\.example/ok 204 \S+ all/ok [0-9a-f]{32}", by["test.example/ok"])
    assert re.fullmatch(stamp + r"GET test\.example/no 404 no_route \S+ all " + r.get("X-Request-Id"),
                        by["test.example/no"])
    assert re.fullmatch(stamp + r"GET test\.example/down 502 connect_refused \S+ all/down( -> down/127\S+)+ "
                        + down.get("X-Request-Id"), by["test.example/down"])
    status, err = t.end()
    assert status == 0 and not err


@pytest.mark.parametrize("query,wanted", [
    (["status>=500"], ["/down"]),
    (["status=4xx"], ["/no"]),
    (["route=all/*", "status<300"], ["/ok", "/slow"]),
    (["route=ok"], ["/ok"]),
    (["slow>300ms status<500"], ["/slow"]),
    (["reason=connect_refused target=down/*"], ["/down"]),
    (["service=all method=GET path!=/ok status!=5xx"], ["/no", "/slow"]),
    (["consumer=acme"], []),
])
def test_queries(gw, trace, query, wanted):
    t = trace(*query)
    everything = trace()
    for path in ("/ok", "/no", "/down", "/slow"):
        gw.get(path)
    everything.wait(4)
    if wanted:
        t.wait(len(wanted))
    assert t.end()[0] == 0
    assert sorted(re.search(r"test\.example(\S+)", s).group(1) for s in t.lines()) == wanted


def test_json_and_count(gw, trace):
    t = trace("-o", "json", "-n", "2")
    gw.get("/ok")
    gw.get("/no")
    status, err = t.over()
    assert status == 0 and not err
    got = sorted((json.loads(s) for s in t.lines()), key=lambda j: j["url.path"])
    assert [(j["url.path"], j["http.response.status_code"]) for j in got] == [("/no", 404), ("/ok", 204)]


def test_long(gw, trace):
    t = trace("--long", "-n", "1", "status=404")
    gw.get("/ok")
    r = gw.get("/no")
    assert t.over()[0] == 0
    text = "\n".join(t.lines())
    assert r.get("X-Request-Id") in t.lines()[0] and "404 no_route" in text and "times     total" in text
    assert text + "\n" == wait_for(lambda: gw.cli("why", r.get("X-Request-Id")), "why")


@pytest.mark.parametrize("query,column,words", [
    ("status>>5", 7, "no status"), ("staus=5", 0, 'no field "staus"'), ("status=200 slow>soon", 16, "no duration"),
    ("route>5", 5, "route is a text"), ('path="x', 5, "has no end"),
])
def test_errors_point_at_the_place(gw, query, column, words):
    code, out, err = gw.cli("trace", query, status=None)
    assert code == 2 and not out
    lines = err.splitlines()
    assert words in lines[0] and lines[1] == "  " + query and lines[2] == " " * (2 + column) + "^", err
    assert lines[3].startswith("Next: ")


def test_usage(gw):
    assert "usage: postern trace" in gw.cli("trace", "--help")
    for args in (("-n", "0"), ("-n", "x"), ("-o", "xml"), ("--nonsense",)):
        code, out, err = gw.cli("trace", *args, status=None)
        assert code == 2 and err and not out
    gw.expect_exit = True
    gw.stop()
    os.unlink(gw.path("run", "region"))
    code, out, err = gw.cli("trace", status=None)
    assert code == 1 and "no gateway runs here" in err and "Next:" in err


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_ends_at_a_signal(gw, trace, sig):
    t = trace()
    status, err = t.end(sig)
    assert status == 0 and not err


def test_ends_when_nobody_reads(gw, trace):
    """As in `postern trace | head -1`: with a line to come, and without."""
    t = trace()
    t.p.stdout.close()
    assert t.p.wait(DEADLINE) == 0
    t = trace()
    gw.get("/ok")
    t.wait(1)
    t.p.stdout.close()
    gw.get("/ok")
    assert t.p.wait(DEADLINE) == 0
    assert t.p.stderr.read() == b""


def test_goes_on_with_new_workers_and_configurations(gw, trace):
    t = trace("-o", "json")
    gw.get("/ok")
    t.wait(1)
    gw.kill_worker(0)
    gw.kill_worker(1)
    for _ in range(8):
        gw.get("/ok")
    t.wait(9)
    with open(gw.conf) as f:
        text = f.read()
    gw.reload(text.replace('"ok"', '"fine"').replace("workers = 2", "workers = 4"))
    for _ in range(16):
        gw.get("/ok")
    t.wait(25)
    assert t.end()[0] == 0
    routes = [json.loads(s)["route"] for s in t.lines()]
    assert routes == ["all/ok"] * 9 + ["all/fine"] * 16


def test_nothing_is_missed_nor_twice(gw, trace):
    t = trace("-o", "json", "path=/ok")
    for _ in range(10):
        with gw.client() as c:
            c.send(b"GET /ok HTTP/1.1\r\nHost: a\r\n\r\n" * 100)
            for _ in range(100):
                assert c.response().status == 204
    t.wait(1000)
    status, err = t.end()
    assert status == 0 and not err
    ids = [json.loads(s)["http.request.id"] for s in t.lines()]
    assert len(ids) == len(set(ids)) == 1000


def test_follows_a_gateway_that_starts_anew(gw, trace):
    """With another region: the old one was damaged, say."""
    t = trace()
    gw.get("/ok")
    t.wait(1)
    gw.stop()
    os.unlink(gw.path("run", "region"))
    gw.start()
    gw.get("/no")
    t.wait(2)
    assert "404 no_route" in t.lines()[1]
    assert t.end()[0] == 0
