"""A store that cannot be written, or read, or trusted: traffic goes on, the log and the metrics say so, nothing stored is
lost, and once it is mended all that was counted meanwhile is booked, once."""
import os
import resource
import shutil
import signal
import struct
import subprocess
import time

import pytest

from harness import SANITIZED, wait_for
from test_usage import assert_booked, conf, consumers, key_of, requests, spend, start

ROOT = os.geteuid() == 0
dies = pytest.mark.skipif(SANITIZED, reason="a process is to die of a signal: a sanitizer would call it a finding")
only_root = pytest.mark.skipif(not ROOT, reason="only root may mount, or become another user")


def state(g):
    m = g.metrics()
    return [labels["state"] for labels, v in m.find("postern_store_state") if v == 1]


def ask(g, name="acme", n=1):
    for _ in range(n):
        r = g.get("/", headers=[("X-API-Key", key_of(name))])
        assert r.status == 200, r


def store(g):
    return g.path("state", "state")


def limit_files(pid, size):
    """No file of that process may grow beyond `size`; None: no limit."""
    most = resource.RLIM_INFINITY if size is None else size
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


def errors_of_store(g):
    return [line for line in g.log().splitlines() if " error " in line and "store " in line]


# ---- full

def test_full_disk(gateway, origin):
    """Nothing more can be written, for a while."""
    g = start(gateway, origin())
    ask(g, n=3)
    wait_for(lambda: requests(g, "acme") == 3, "what came before")
    limit_files(g.keeper(), 8192)
    ask(g, n=5)
    g.wait_log(r"store \S+/state/state: .*: traffic goes on, usage is kept in memory and booked when there is room again")
    wait_for(lambda: state(g) == ["read_only"], "the state in the metrics")
    assert g.metrics().value("postern_store_write_failures_total") >= 1
    ask(g, n=4)
    # What is stored can be asked for all the time.
    assert requests(g, "acme") == 3
    time.sleep(6)                       # another attempt
    ask(g, n=4)
    assert len(errors_of_store(g)) == 1, errors_of_store(g)
    limit_files(g.keeper(), None)
    g.wait_log(r"writes again", timeout=20)
    wait_for(lambda: requests(g, "acme") == 16, "all that was counted meanwhile")
    assert state(g) == ["ok"]
    ask(g)
    wait_for(lambda: requests(g, "acme") == 17, "one more")


@pytest.mark.slow
def test_full_disk_under_load(gateway, origin):
    """The keeper is killed in the middle of it, too."""
    g = start(gateway, origin(), workers=2)
    spenders = spend(g)
    for _ in range(2):
        time.sleep(1.2)
        limit_files(g.keeper(), 8192)
        g.wait_log("traffic goes on")
        time.sleep(1)
        g.kill_keeper()                 # the next one has no limit
        g.wait_admin()
    wait_for(lambda: state(g) == ["ok"], "a store that is well")
    assert_booked(g, spenders)


@only_root
def test_small_disk(gateway, origin):
    """A file system that really is full."""
    g = gateway(conf(origin()), start=False)
    os.mkdir(g.path("state"))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", g.path("state")]).returncode:
        pytest.skip("cannot mount")
    try:
        consumers(g, ["acme"])
        g.start()
        g.wait_admin()
        ask(g, n=3)
        wait_for(lambda: requests(g, "acme") == 3, "what came before")
        with open(g.path("state", "ballast"), "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass
        # There are free pages in the file: it takes a while until it has to grow.
        for _ in range(40):
            ask(g, n=2)
            if "traffic goes on" in g.log():
                break
            time.sleep(0.25)
            for i in range(20):
                g.get("/nowhere/%d" % i)        # refused: each is a record to be stored
        g.wait_log("traffic goes on, usage is kept in memory")
        ask(g, n=5)
        os.unlink(g.path("state", "ballast"))
        g.wait_log("writes again", timeout=20)
        total = g.metrics().value("postern_http_requests_total", code="200")
        wait_for(lambda: requests(g, "acme") == total, "all that was counted meanwhile")
    finally:
        subprocess.run(["umount", "-l", g.path("state")])


def test_full_from_the_beginning(gateway, origin):
    """There was never a store; the gateway serves all the same."""
    g = gateway(conf(origin()), start=False)
    consumers(g, ["acme"])
    os.makedirs(g.path("state", "state"))       # a directory: no file can be made there
    g.start()
    g.wait_admin()
    ask(g, n=3)
    g.wait_log(r"store \S+: .*traffic goes on")
    wait_for(lambda: state(g) == ["bad"], "the state in the metrics")
    os.rmdir(store(g))
    g.wait_log("opened", timeout=20)
    wait_for(lambda: requests(g, "acme") == 3, "what was counted before there was a store")


# ---- read-only

@only_root
def test_readonly_statedir(gateway, origin):
    """The user of the gateway may not write any more; consumers of the store are known all the same."""
    g = start(gateway, origin(), user="nobody")
    r = g.admin("POST", "/v1/consumers", {"name": "zoe"})
    assert r.status == 201, r
    r = g.admin("POST", "/v1/consumers/zoe/keys", {})
    assert r.status == 201, r
    key = r.json()["key"]
    assert g.get("/", headers=[("X-API-Key", key)]).status == 200
    ask(g, n=3)
    wait_for(lambda: requests(g, "acme") == 3, "what came before")
    paths = [g.path("state")] + [g.path("state", p) for p in os.listdir(g.path("state"))]
    owners = [(p, os.stat(p)) for p in paths]
    for p in paths:
        os.chown(p, 0, 0)
        os.chmod(p, 0o755 if p.endswith("/state") and os.path.isdir(p) else 0o644)
    g.kill_keeper()
    g.wait_admin()
    wait_for(lambda: state(g) == ["read_only"], "the state in the metrics")
    g.wait_log("traffic goes on, usage is kept in memory and booked when it can be written again")
    ask(g, n=4)
    assert g.get("/", headers=[("X-API-Key", key)]).status == 200
    assert g.get("/", headers=[("X-API-Key", "nobody's")]).status == 401
    assert requests(g, "acme") == 3
    assert g.admin("POST", "/v1/consumers", {"name": "yan"}).status == 503
    for p, was in owners:
        os.chown(p, was.st_uid, was.st_gid)
        os.chmod(p, was.st_mode & 0o777)
    g.wait_log("writes again", timeout=20)
    wait_for(lambda: requests(g, "acme") == 7 and requests(g, "zoe") == 2, "all that was counted meanwhile")


# ---- not to be trusted

@pytest.mark.parametrize("what", ["foreign", "garbage"])
def test_foreign_file(gateway, origin, what):
    g = gateway(conf(origin()), start=False)
    consumers(g, ["acme"])
    os.mkdir(g.path("state"))
    content = b"this is the diary of somebody else\n" * 1000 if what == "foreign" else os.urandom(100000)
    with open(store(g), "wb") as f:
        f.write(content)
    g.start()
    g.wait_admin()
    ask(g, n=3)
    g.wait_log(r"store \S+: not a state file of postern: traffic goes on, it is left as it is")
    wait_for(lambda: state(g) == ["bad"], "the state in the metrics")
    # An unknown key cannot be checked: it is refused, for now.
    assert g.get("/", headers=[("X-API-Key", "of the store?")]).status in (401, 503)
    with open(store(g), "rb") as f:
        assert f.read() == content
    os.rename(store(g), g.path("state", "aside"))
    g.wait_log("opened", timeout=20)
    wait_for(lambda: requests(g, "acme") == 3, "what was counted meanwhile")
    assert state(g) == ["ok"]


def fill(g, n=300):
    """A store of some pages."""
    for i in range(n):
        assert g.admin("POST", "/v1/consumers", {"name": "c%d" % i}).status == 201


@dies
def test_truncated_while_in_use(gateway, origin):
    """The file is cut short under the keeper and the workers."""
    g = start(gateway, origin(), workers=2)
    fill(g)
    ask(g, n=3)
    wait_for(lambda: requests(g, "acme") == 3, "what came before")
    g.stable = False
    backup = g.path("backup")
    shutil.copy(store(g), backup)
    os.truncate(store(g), 16384)
    end = time.monotonic() + 4
    while time.monotonic() < end:
        ask(g)
        time.sleep(0.02)
    g.wait_log("traffic goes on, it is left as it is")
    g.wait_admin()
    wait_for(lambda: state(g) == ["bad"], "the state in the metrics")
    assert os.path.getsize(store(g)) == 16384
    before = g.metrics().value("postern_http_requests_total", code="200")
    # A good copy is put in its place: what it knows is not booked again.
    shutil.copy(backup, g.path("state", "new"))
    os.rename(g.path("state", "new"), store(g))
    g.wait_log("opened", timeout=20)
    wait_for(lambda: requests(g, "acme") == before, "%d requests" % before)
    assert g.admin("GET", "/v1/consumers/c7").status == 200


def test_truncated_while_down(gateway, origin):
    g = start(gateway, origin())
    fill(g)
    ask(g, n=3)
    wait_for(lambda: requests(g, "acme") == 3, "what came before")
    g.stop()
    os.truncate(store(g), 20480)
    g.start()
    g.wait_admin()
    ask(g, n=2)
    g.wait_log("traffic goes on, it is left as it is")
    assert state(g) == ["bad"]
    assert os.path.getsize(store(g)) == 20480


def test_replaced_by_a_backup(gateway, origin):
    """What the backup does not know yet is booked into it, from the region."""
    g = start(gateway, origin())
    ask(g, n=3)
    wait_for(lambda: requests(g, "acme") == 3, "what came before")
    time.sleep(1.5)
    shutil.copy(store(g), g.path("state", "old"))
    ask(g, n=4)
    wait_for(lambda: requests(g, "acme") == 7, "what came after")
    os.rename(g.path("state", "old"), store(g))
    g.wait_log("replaced", timeout=20)
    wait_for(lambda: requests(g, "acme") == 7, "seven")
    # Workers look into the new one.
    r = g.admin("POST", "/v1/consumers", {"name": "zoe"})
    assert r.status == 201
    key = g.admin("POST", "/v1/consumers/zoe/keys", {}).json()["key"]
    wait_for(lambda: g.get("/", headers=[("X-API-Key", key)]).status == 200, "a key of the new file")


# ---- the keeper itself

def test_keeper_stopped(gateway, origin):
    """A keeper that hangs costs nothing but time."""
    g = start(gateway, origin(), workers=2)
    keeper = g.keeper()
    os.kill(keeper, signal.SIGSTOP)
    try:
        spenders = spend(g)
        time.sleep(3)
    finally:
        os.kill(keeper, signal.SIGCONT)
    assert_booked(g, spenders)


@dies
def test_dying_in_the_store_again_and_again(gateway, origin):
    """A file that kills whoever reads it is left alone after three times."""
    g = start(gateway, origin())
    ask(g)
    wait_for(lambda: requests(g, "acme") == 1, "the request")
    g.stable = False
    for _ in range(3):
        crash_inside(g)
    g.wait_log("keepers died in it 3 times")
    g.wait_admin()
    assert state(g) == ["bad"]
    ask(g, n=3)
    g.stop()
    g.start()
    g.wait_admin()
    wait_for(lambda: requests(g, "acme") == 4, "all, after a restart")


def test_killed_in_the_store(gateway, origin):
    """kill -9 in the middle of a write says nothing against the file."""
    g = start(gateway, origin())
    g.stable = False
    for i in range(5):
        ask(g)
        wait_for(lambda: requests(g, "acme") == i + 1, "%d requests" % (i + 1))
        crash_inside(g, signal.SIGKILL)
        g.wait_admin()
    assert requests(g, "acme") == 5
    assert state(g) == ["ok"]


def crash_inside(g, sig=signal.SIGSEGV):
    """A crash of the keeper in the middle of a write."""
    old = g.keeper()
    os.kill(old, signal.SIGSTOP)
    poke(g, "control", BUSY, 1)
    os.kill(old, sig)
    if sig != signal.SIGKILL:
        os.kill(old, signal.SIGCONT)
    g.wait_respawn("keeper", old)


BUSY = 24               # of struct control: store_busy


def poke(g, segment, at, value):
    """Sets a word of 32 bits in the region (shm/region.c: the directory begins at byte 72 or so, 64 bytes an entry)."""
    with open(g.path("run", "region"), "r+b") as f:
        head = f.read(4096)
        entry = head.index(segment.encode() + bytes(32 - len(segment)))
        start, = struct.unpack_from("<Q", head, entry + 48)
        f.seek(start + at)
        f.write(struct.pack("<I", value))


def test_two_gateways_with_one_store(gateway, origin):
    """The second one serves and waits; nothing of either is booked twice."""
    o = origin()
    a = start(gateway, o)
    b = gateway(conf(o).replace("@DIR@/state", a.path("state")).replace("@DIR@/consumers", a.path("consumers")), start=False)
    b.start()
    b.wait_admin()
    for g, n in ((a, 3), (b, 4)):
        ask(g, n=n)
    wait_for(lambda: requests(a, "acme") == 3, "those of the first")
    time.sleep(1.5)
    assert requests(a, "acme") == 3
    a.expect_exit = True
    a.stop()
    wait_for(lambda: requests(b, "acme") == 7, "those of both")
