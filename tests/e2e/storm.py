"""storm — load.c from Python: more requests than a Python client can make, every one of them accounted for."""
import bisect
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))


def build():
    """The path of the compiled load.c; made once for each of its versions."""
    source = os.path.join(HERE, "load.c")
    with open(source, "rb") as f:
        name = "/tmp/postern-e2e-load-%d-%s" % (os.geteuid(), hashlib.sha256(f.read()).hexdigest()[:16])
    if os.path.exists(name):
        return name
    cc = os.environ.get("CC", "").split() or ["cc"]
    if not shutil.which(cc[0]):
        pytest.skip("there is no compiler for load.c")
    with open(name + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(name):
            subprocess.run([*cc, "-O2", "-std=gnu11", "-D_GNU_SOURCE", "-o", name + ".new", source], check=True)
            os.rename(name + ".new", name)
    return name


class Count:
    """What came of a number of requests."""

    def __init__(self, got):
        self.sent, self.lost = got["sent"], got["lost"]
        self.status = {int(k): v for k, v in got["status"].items()}

    @property
    def answered(self):
        return sum(self.status.values())

    @property
    def good(self):
        return sum(n for s, n in self.status.items() if s // 100 == 2)

    def __repr__(self):
        return "<sent %d, lost %d, %r>" % (self.sent, self.lost, self.status)


class Storm:
    """Connections that ask without pause, until stop(), for `seconds` or for `requests`. After end(): `.all` and, of
    each line of header lines, `.lines`; `.seconds` is the time from before the first request to behind the last answer;
    `.admitted` are pairs (sent, received) of each 2xx, in seconds, if `log` was asked for."""

    def __init__(self, g, target="/", connections=32, seconds=None, requests=None, lines=None, headers=(), log=False, port=None):
        n = 0
        while os.path.exists(g.path("storm%d" % n)):
            n += 1
        self.dir = g.path("storm%d" % n)
        os.mkdir(self.dir)
        args = [build(), "-c", str(connections), "-u", target]
        if seconds:
            args += ["-t", str(seconds)]
        if requests:
            args += ["-n", str(requests)]
        for h in headers:
            args += ["-H", h]
        if lines:
            with open(self.dir + "/lines", "w") as f:
                f.write("\n".join(lines) + "\n")
            args += ["-f", self.dir + "/lines"]
        if log:
            args += ["-o", self.dir + "/log"]
        self.log = log
        self.p = subprocess.Popen(args + [str(port or g.port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def running(self):
        return self.p.poll() is None

    def stop(self):
        if self.running():
            self.p.send_signal(signal.SIGTERM)
        return self.end()

    def end(self, timeout=200):
        out, err = self.p.communicate(timeout=timeout)
        assert self.p.returncode == 0, (self.p.returncode, err)
        got = json.loads(out)
        self.all = Count(got["all"])
        self.lines = [Count(x) for x in got["lines"]]
        self.seconds = (got["ended"] - got["began"]) / 1e9
        self.connects = got["connects"]
        if self.log:
            with open(self.dir + "/log") as f:
                self.admitted = sorted(tuple(int(x) / 1e9 for x in line.split()) for line in f)
        return self

    def kill(self):
        if self.running():
            self.p.kill()
            self.p.wait()


def most_above(admitted, rate, burst, lengths=(0, 0.001, 0.01, 0.05, 0.1, 0.3, 1, 3)):
    """The window with most admitted above rate × T + burst, as (excess, T, how many); excess ≤ 0 is what must be. A
    request counts as of a window if it was sent and answered in it: where in between it was decided nobody knows, so
    this never blames the gateway for what the client's clock did."""
    worst = (-burst, 0, 0)
    sent = [s for s, _ in admitted]
    step = max(1, len(admitted) // 3000)
    for length in lengths:
        for i in range(0, len(admitted), step):
            end = sent[i] + length
            n = sum(1 for _, r in admitted[i:bisect.bisect_right(sent, end)] if r <= end)
            excess = n - (rate * length + burst)
            if excess > worst[0]:
                worst = (excess, length, n)
    return worst


def kill_now_and_then(g, until, pause, random, roles=("worker",)):
    """Kills -9 a process of a random role now and then, until until() is true; returns how many. Never all workers at
    once: the one before has its successor."""
    kills = 0
    g.stable = False
    while not until():
        time.sleep(random.uniform(*pause))
        if until():
            break
        role = random.choice(roles)
        pids = g.workers() if role == "worker" else [g.keeper()]
        pids = [p for p in pids if p]
        if not pids:
            continue
        try:
            os.kill(random.choice(pids), signal.SIGKILL)
            kills += 1
        except ProcessLookupError:
            pass
    return kills
