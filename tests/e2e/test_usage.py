"""Usage: what the gateway says that a consumer used equals what the client counted, whatever is killed meanwhile."""
import csv
import hashlib
import io
import itertools
import os
import random
import signal
import threading
import time

import pytest

from harness import Client, Truncated, alive, config, reply, wait_for

NAMES = ["acme", "bolt", "corp"]
SERVICE = 'policies = ( { type = "api-key"; } );'


def key_of(name):
    return "key-of-" + name


def conf(origin, user=None, **kw):
    kw.setdefault("service", SERVICE)
    kw["gateway"] = 'consumers_file = "@DIR@/consumers"; ' + ('user = "%s"; ' % user if user else "")
    return config(origin, **kw)


def start(gateway, origin, names=NAMES, **kw):
    g = gateway(conf(origin, **kw), start=False)
    consumers(g, names)
    g.start()
    g.wait_admin()
    return g


def consumers(g, names):
    g.write("".join("%s sha256:%s\n" % (n, hashlib.sha256(key_of(n).encode()).hexdigest()) for n in names), "consumers")


def usage(g, **query):
    query.setdefault("by", "day")
    r = g.admin("GET", "/v1/usage?" + "&".join("%s=%s" % q for q in query.items()))
    assert r.status == 200, r
    return r.json()


def requests(g, consumer):
    """`consumer` "": of all together."""
    return usage(g, **({"consumer": consumer} if consumer else {}))["total"]["requests"]


def settled(g, consumer):
    """What is booked of a consumer when nothing more comes."""
    def same():
        try:
            first = requests(g, consumer)
            time.sleep(0.3)
            return first == requests(g, consumer) and (first,)
        except (OSError, Truncated):
            return None
    return wait_for(same, "usage that stands still")[0]


class Spender:
    """A client of a consumer that asks without pause. `good`: whole answers; `torn`: requests of which nobody knows."""

    def __init__(self, g, consumer, pause=0, names=None):
        self.g, self.consumer, self.pause = g, consumer, pause
        self.names = itertools.cycle(names or [consumer])
        self.good = self.torn = 0
        self.when = []                  # monotonic times of the answers
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stop.is_set():
            sent = False
            try:
                with Client(self.g.port) as c:
                    while not self.stop.is_set():
                        sent = True
                        r = c.get("/", headers=[("X-API-Key", key_of(next(self.names)))])
                        sent = False
                        assert r.status == 200, r
                        self.good += 1
                        self.when.append(time.monotonic())
                        if self.pause:
                            time.sleep(self.pause)
                        if r.closes:
                            break
            except (OSError, Truncated):
                self.torn += sent
                time.sleep(0.005)

    def end(self):
        self.stop.set()
        self.thread.join(30)
        assert not self.thread.is_alive()


def spend(g, names=NAMES, each=2, **kw):
    return [Spender(g, n, **kw) for n in names for _ in range(each)]


CROWD = ["c%03d" % i for i in range(700)]


def crowd(g, n=4, **kw):
    """So many consumers that they are not booked each second."""
    return [Spender(g, "", names=CROWD[i::n], **kw) for i in range(n)]


def end(spenders):
    for s in spenders:
        s.end()
    return {n: (sum(s.good for s in spenders if s.consumer == n), sum(s.torn for s in spenders if s.consumer == n))
            for n in {s.consumer for s in spenders}}


def assert_booked(g, spenders):
    for name, (good, torn) in end(spenders).items():
        got = settled(g, name)
        assert good <= got <= good + torn, "%s: the client counted %d (and %d that nobody knows of), booked is %d" % (
            name, good, torn, got)
        assert good > 50, "hardly any load: %d" % good


# ---- what is counted

def test_requests_bytes_and_classes(gateway, origin):
    def answer(r):
        return reply(int(r.target.strip("/")), b"x" * 100)
    g = start(gateway, origin(answer), workers=2)
    for name, n in (("acme", 5), ("bolt", 3)):
        for i in range(n):
            for status in (200, 404, 503):
                r = g.ask("POST", "/%d" % status, [("X-API-Key", key_of(name))], b"y" * 10)
                assert r.status == status
    assert g.get("/200").status == 401          # nobody's: in no bill
    wait_for(lambda: requests(g, "acme") == 15 and requests(g, "bolt") == 9, "what was asked for")
    doc = usage(g)
    assert [(u["consumer"], u["service"]) for u in doc["usage"]] == [("acme", "all"), ("bolt", "all")]
    u = doc["usage"][0]
    assert u["status"] == {"none": 0, "2xx": 5, "3xx": 0, "4xx": 5, "5xx": 5}
    assert (u["bytes_in"], u["bytes_out"]) == (150, 1500)
    assert doc["total"]["requests"] == 24
    for by in ("minute", "hour", "day"):
        assert usage(g, by=by)["total"] == doc["total"], by


def test_csv_adds_up(gateway, origin):
    g = start(gateway, origin())
    for name, n in (("acme", 4), ("corp", 2)):
        for _ in range(n):
            assert g.get("/", headers=[("X-API-Key", key_of(name))]).status == 200
    wait_for(lambda: usage(g)["total"]["requests"] == 6, "six requests")
    r = g.admin("GET", "/v1/usage?by=day&format=csv")
    rows = list(csv.DictReader(io.StringIO(r.body.decode())))
    assert {(w["consumer"], w["requests"], w["requests_2xx"]) for w in rows} == {("acme", "4", "4"), ("corp", "2", "2")}


def test_by_service(gateway, origin):
    o = origin()
    g = start(gateway, o, domains=("a.example",),
              services='other: { domains = [ "b.example" ]; %s routes = ( { match = "* /*"; to = "origin"; } ); };' % SERVICE)
    for host, n in (("a.example", 2), ("b.example", 3)):
        for _ in range(n):
            assert g.get("/", headers=[("X-API-Key", key_of("acme"))], host=host).status == 200
    wait_for(lambda: requests(g, "acme") == 5, "five requests")
    assert usage(g, service="other")["total"]["requests"] == 3


def rollups(g, kind, name=""):
    r = g.admin("GET", "/v1/rollups?by=day&kind=%s%s" % (kind, "&name=" + name if name else ""))
    assert r.status == 200, r
    return {w["name"]: w for w in r.json()["rollups"]}


def test_rollups_of_every_kind(gateway, origin):
    def answer(r):
        time.sleep(0.05)
        return reply(200, b"z" * 1000)
    g = start(gateway, origin(answer), routes='{ name = "slow"; match = "* /*"; to = "origin"; }')
    for _ in range(20):
        assert g.get("/", headers=[("X-API-Key", key_of("acme"))]).status == 200
    wait_for(lambda: rollups(g, "route").get("all/slow", {}).get("requests") == 20, "the rollup of the route")
    wait_for(lambda: rollups(g, "consumer").get("acme", {}).get("requests") == 20, "the rollup of the consumer")
    for kind, name in (("route", "all/slow"), ("service", "all"), ("consumer", "acme")):
        w = wait_for(lambda: [w for w in [rollups(g, kind)[name]] if w["bytes_out"] == 20000], "20,000 bytes of a %s" % kind)[0]
        assert w["requests"] == 20, (kind, w)
        assert 50000 <= w["p50_us"] <= 200000, (kind, w)
    (w,) = rollups(g, "target").values()
    assert w["requests"] == 20 and 50000 <= w["p95_us"] <= 400000, w


# ---- whatever happens

@pytest.mark.slow
def test_keeper_killed_again_and_again(gateway, origin):
    g = start(gateway, origin(), workers=2)
    spenders = spend(g)
    for _ in range(8):
        # Before, within and after what it does each second.
        time.sleep(0.95 + random.random() * 0.4)
        g.kill_keeper()
    assert_booked(g, spenders)
    assert "not opened any more" not in g.log()


@pytest.mark.slow
def test_workers_killed_again_and_again(gateway, origin):
    g = start(gateway, origin(), workers=2)
    spenders = spend(g)
    for i in range(10):
        g.kill_worker(i % 2)
        time.sleep(0.3)
    assert_booked(g, spenders)


@pytest.mark.slow
def test_both_killed(gateway, origin):
    g = start(gateway, origin(), workers=2)
    spenders = spend(g)
    for i in range(5):
        time.sleep(0.95 + random.random() * 0.4)
        g.kill_worker(i % 2, wait=False)
        g.kill_keeper()
    assert_booked(g, spenders)


def test_reloads(gateway, origin):
    o = origin()
    g = start(gateway, o, workers=2)
    spenders = spend(g)
    for i in range(6):
        g.reload(conf(o, workers=1 + i % 2))
        time.sleep(0.2)
    for name, (good, torn) in end(spenders).items():
        assert torn == 0
        assert settled(g, name) == good
    g.stable = False


@pytest.mark.slow
def test_upgrade(gateway, origin):
    """Two masters and two keepers for a while: one of them books."""
    def answer(r):
        if r.target == "/slow":
            time.sleep(5)
        return reply(200, b"ok")
    g = start(gateway, origin(answer), workers=2)
    spenders = spend(g)
    slow = Client(g.port, timeout=20)
    slow.request("GET", "/slow", [("X-API-Key", key_of("acme"))])
    time.sleep(0.5)
    g.stable = False
    ready = g.notify.count("READY", "1")
    g.signal(signal.SIGUSR2)
    wait_for(lambda: g.notify.count("READY", "1") > ready, "READY=1 of the new master")
    time.sleep(2)
    assert g.proc.poll() is None, "the old master was to wait for the slow request"
    assert slow.response().status == 200
    slow.close()
    wait_for(lambda: g.proc.poll() is not None, "the end of the old master")
    with open(g.path("run", "postern.pid")) as f:
        g.adopt(int(f.read()))
    time.sleep(0.5)
    counted = end(spenders)
    g.wait_admin()
    for name, (good, torn) in counted.items():
        assert settled(g, name) == good + (name == "acme") and torn == 0


def test_master_killed_and_started_again(gateway, origin):
    g = start(gateway, origin(), workers=2)
    spenders = spend(g)
    time.sleep(1.2)
    g.stable = False
    os.kill(g.master, signal.SIGKILL)
    g.proc.wait()
    time.sleep(0.2)
    g.start()
    g.wait_admin()
    time.sleep(0.5)
    assert_booked(g, spenders)


def test_stop_books_the_last_request(gateway, origin):
    g = start(gateway, origin())
    for _ in range(7):
        assert g.get("/", headers=[("X-API-Key", key_of("acme"))]).status == 200
    g.stop()
    os.unlink(g.path("run", "region"))
    g.start()
    g.wait_admin()
    assert requests(g, "acme") == 7


def cut_power(g, spenders):
    """Everything is killed at once and memory is gone. What the clients counted, and what of it came more than a
    second (and what it takes to write) before."""
    g.stable = False
    for pid in [g.master] + g.children():
        os.kill(pid, signal.SIGKILL)
    cut = time.monotonic()
    g.proc.wait()
    counted = end(spenders)
    wait_for(lambda: not any(alive(p) for p in g.all_pids()), "the end of all")
    os.unlink(g.path("run", "region"))
    g.start()
    g.wait_admin()
    early = {n: sum(1 for s in spenders if s.consumer == n for t in s.when if t < cut - 1.5) for n in counted}
    return counted, early


@pytest.mark.slow
@pytest.mark.parametrize("who", ["few", "many"])
def test_power_cut(gateway, origin, who):
    """At most the last second is missing, nothing is there twice."""
    g = start(gateway, origin(), names=NAMES if who == "few" else CROWD, workers=2)
    before = {n: 0 for n in NAMES + [""]}
    for _ in range(3):
        spenders = spend(g, pause=0.002) if who == "few" else crowd(g)
        time.sleep(2.6)
        counted, early = cut_power(g, spenders)
        for name, (good, torn) in counted.items():
            got = settled(g, name)
            assert before[name] + early[name] <= got <= before[name] + good + torn, (
                name, before[name], early[name], got, good, torn)
            before[name] = got


@pytest.mark.slow
def test_many_consumers_and_kills(gateway, origin):
    """Each of them has what it asked for."""
    g = start(gateway, origin(), names=CROWD, workers=2)
    spenders = crowd(g)
    for i in range(5):
        time.sleep(0.95 + random.random() * 1.1)
        g.kill_keeper()
    time.sleep(1)
    counted = end(spenders)[""]
    assert counted[1] == 0
    assert settled(g, "") == counted[0]
    got = {u["consumer"]: u["requests"] for u in usage(g)["usage"]}
    for i, s in enumerate(spenders):
        mine = CROWD[i::len(spenders)]
        for k, name in enumerate(mine):
            assert got[name] == s.good // len(mine) + (k < s.good % len(mine)), name


def test_an_idle_gateway_writes_nothing(gateway, origin):
    g = start(gateway, origin())
    assert g.get("/", headers=[("X-API-Key", key_of("acme"))]).status == 200
    wait_for(lambda: requests(g, "acme") == 1, "the request")
    time.sleep(4.5)
    keeper = g.keeper()

    def written():
        with open("/proc/%d/io" % keeper) as f:
            return dict(line.split(": ") for line in f.read().splitlines())["syscw"]
    before, at = written(), os.stat(g.path("state", "state")).st_mtime_ns
    with open("/proc/%d/stat" % keeper) as f:
        ticks = sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))
    time.sleep(4)
    assert (written(), os.stat(g.path("state", "state")).st_mtime_ns) == (before, at)
    with open("/proc/%d/stat" % keeper) as f:
        assert sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13])) - ticks <= 4    # of 400


# ---- limits

def test_limits_after_a_power_cut(gateway, origin):
    """What is used up stays used up: quotas and long windows are kept by the checkpoint of each second."""
    service = ('policies = ( { type = "api-key"; },'
               ' { type = "rate-limit"; rate = "10/day"; burst = 10; by = "{header.x-who}"; },'
               ' { type = "quota"; quota = "20/month"; by = "{consumer}"; } );')
    g = start(gateway, origin(), names=NAMES, workers=2, service=service)

    def statuses(n, who):
        return [g.get("/", headers=[("X-API-Key", key_of("acme")), ("X-Who", who)]).status for _ in range(n)]
    assert statuses(9, "a") == [200] * 9
    assert statuses(3, "b") == [200] * 3
    time.sleep(2.5)
    cut_power(g, [])
    # Ten of a in a day, and 20 of acme in a month: one more of a, and then of b until there are 20.
    assert statuses(3, "a") == [200, 429, 429]
    assert statuses(7, "b") == [200] * 7
    assert statuses(2, "c") == [429, 429]


# ---- failures

def test_refusals_outlive_the_region(gateway, origin):
    """What was refused can be asked for after a power cut; what went well cannot."""
    g = start(gateway, origin(), routes='{ match = "* /known"; to = "origin"; }')
    refused = g.get("/unknown", headers=[("X-API-Key", key_of("acme"))]).get("x-request-id")
    time.sleep(2.5)
    cut_power(g, [])
    code, out, err = g.cli("why", refused, status=None)
    assert code == 0 and "/unknown" in out and "404" in out, (out, err)
