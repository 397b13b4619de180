"""`postern top` on a real terminal (a pty): what it draws, what its keys do, and that it gives the terminal back."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time

import pytest

from harness import POSTERN, DEADLINE, SCALE, config, run, wait_for


def readable(fd, seconds):
    """select() knows no descriptor above 1023."""
    p = select.poll()
    p.register(fd, select.POLLIN)
    return bool(p.poll(seconds * 1000))


class Screen:
    """As much of a terminal as is needed to see what stands where; writes behind the right edge are an error."""

    TOKEN = re.compile(rb"\x1b\[([?\d;]*)([A-Za-z])|([\r\n])|([\x20-\x7e]+)|(.)", re.S)

    def __init__(self, width, height):
        self.modes = {}
        self.size(width, height)
        self.rest = b""
        self.faults = []
        self.styles = 0

    def size(self, width, height):
        self.width, self.height = width, height
        self.cells = [[" "] * width for _ in range(height)]
        self.row = self.col = 0

    def feed(self, data):
        data = self.rest + data
        self.rest = b""
        cut = data.rfind(b"\x1b")
        if cut >= 0 and not re.match(rb"\x1b\[[?\d;]*[A-Za-z]", data[cut:]):
            data, self.rest = data[:cut], data[cut:]
        for m in self.TOKEN.finditer(data):
            args, what, move, text, odd = m.groups()
            if what:
                self.control(args.decode(), what.decode())
            elif move == b"\r":
                self.col = 0
            elif move == b"\n":
                self.row = min(self.row + 1, self.height - 1)
            elif text:
                for ch in text.decode():
                    if self.col >= self.width:
                        self.faults.append("behind the edge: %r" % text)
                        break
                    if self.row < self.height:
                        self.cells[self.row][self.col] = ch
                    self.col += 1
            else:
                self.faults.append("byte %r" % odd)

    def control(self, args, what):
        if what == "H":
            n = [int(s or 1) for s in args.split(";")] if args else [1, 1]
            self.row, self.col = n[0] - 1, n[1] - 1
            if self.row >= self.height:
                self.faults.append("line %d of %d" % (n[0], self.height))
                self.row = self.height - 1
        elif what == "K":
            self.cells[self.row] = [" "] * self.width
        elif what == "J":
            for r in range(0 if args == "2" else self.row + 1, self.height):
                self.cells[r] = [" "] * self.width
        elif what in "hl":
            self.modes[args] = what
        elif what == "m":
            self.styles += 1
        else:
            self.faults.append("control %r %r" % (args, what))

    def lines(self):
        return ["".join(r).rstrip() for r in self.cells]


class Top:
    def __init__(self, g, *args, width=100, height=30, env=None, wait=True):
        self.master, self.tty = pty.openpty()
        self.screen = Screen(width, height)
        self.set_size(width, height)
        self.before = termios.tcgetattr(self.tty)
        e = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
        e["TERM"] = "xterm"
        e.update(env or {})
        self.raw = b""
        self.lock = threading.Lock()
        self.p = subprocess.Popen([POSTERN, "top", "-c", g.conf, *args], stdin=self.tty, stdout=self.tty,
                                  stderr=self.tty, env=e, start_new_session=True,
                                  preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.over = False
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()
        if wait:
            self.wait("q quit")

    def set_size(self, width, height):
        fcntl.ioctl(self.tty, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def resize(self, width, height):
        with self.lock:
            self.screen.size(width, height)
            self.set_size(width, height)
            # What was drawn for the old size may still be under way.
        time.sleep(0.05)
        with self.lock:
            self.screen.faults.clear()
        os.kill(self.p.pid, signal.SIGWINCH)

    def read(self):
        while not self.over:
            if not readable(self.master, 0.05):
                continue
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            if not data:
                return
            with self.lock:
                self.raw += data
                self.screen.feed(data)

    def lines(self):
        with self.lock:
            return self.screen.lines()

    def text(self):
        return "\n".join(self.lines())

    def wait(self, pattern, timeout=None):
        def there():
            assert self.p.poll() is None, self.raw
            return re.search(pattern, self.text(), re.M)
        try:
            return wait_for(there, pattern, timeout)
        except AssertionError:
            raise AssertionError("%r is not on the screen:\n%s" % (pattern, self.text()))

    def keys(self, what):
        os.write(self.master, what)

    def ended(self, timeout=None):
        code = self.p.wait(timeout or DEADLINE)
        time.sleep(0.1)
        return code

    def restored(self):
        """The terminal is as it was: its modes and its screen."""
        with self.lock:
            modes = dict(self.screen.modes)
        assert modes.get("?1049") == "l" and modes.get("?25") == "h" and modes.get("?7") == "h", modes
        assert termios.tcgetattr(self.tty) == self.before

    def close(self):
        if self.p.poll() is None:
            self.p.kill()
            self.p.wait()
        self.over = True
        self.thread.join()
        os.close(self.master)
        if self.tty is not None:
            os.close(self.tty)
        assert not self.screen.faults, self.screen.faults[:5]


@pytest.fixture
def top(request):
    things = []

    def make(*args, **kw):
        t = Top(*args, **kw)
        things.append(t)
        return t
    yield make
    for t in things:
        t.close()


ROUTES = ('{ name = "a"; match = "GET /a"; to = "origin"; }, { name = "own"; match = "GET /own"; respond = 204; },'
          '{ name = "limited"; match = "GET /limited"; respond = 204; policies = [ "tight" ]; }')
POLICIES = 'tight: { type = "rate-limit"; rate = "1/min"; by = "{client.ip}"; }'


@pytest.fixture
def gw(gateway, origin):
    return gateway(config(origin(), workers=2, routes=ROUTES, policies=POLICIES))


class Traffic:
    """Requests all the time."""

    def __init__(self, g, *paths):
        self.g, self.paths = g, paths or ("/a",)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.stop.is_set():
            try:
                with self.g.client() as c:
                    while not self.stop.is_set():
                        for p in self.paths:
                            c.get(p)
                        time.sleep(0.002)
            except Exception:
                time.sleep(0.05)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.stop.set()
        self.thread.join(20)


def test_draws_what_happens(gw, top):
    with Traffic(gw, "/a", "/a", "/own", "/limited", "/none"):
        t = top(gw, "-d", "0.3")
        t.wait(r"^all/a +[1-9]\d* ")
        t.wait(r"^rate-limit/tight +0 +[1-9]\d*")
        text = t.text()
    head = t.lines()[0]
    assert re.search(r"^postern  up \S+  revision 1  workers 2  store \S+", head), head
    rate = int(re.search(r"req/s (\d+)", text).group(1))
    assert rate > 10, text
    assert re.search(r"4xx/s [1-9]", text) and re.search(r"p50 \d\S*us|p50 \S+ms", text), text
    for pane in ("services", "routes", "targets", "processes", "policies"):
        assert re.search(r"^%s\b" % pane, text, re.M), text
    assert re.search(r"^worker 0 %d +\d" % gw.workers()[0], text, re.M), text
    a = int(re.search(r"^all/a +(\d+)", text, re.M).group(1))
    own = int(re.search(r"^all/own +(\d+)", text, re.M).group(1))
    assert own < a, text
    assert text.index("all/a ") < text.index("all/own"), "not sorted by rate"


def test_rates_end_with_the_traffic(gw, top):
    t = top(gw, "-d", "0.2")
    with Traffic(gw):
        t.wait(r"req/s [1-9]")
    t.wait(r"req/s 0 ")
    t.wait(r"p50 - ")


def test_quits_and_gives_the_terminal_back(gw, top):
    t = top(gw)
    assert t.screen.modes["?1049"] == "h" and t.screen.modes["?25"] == "l" and t.screen.modes["?7"] == "l"
    assert not termios.tcgetattr(t.tty)[3] & (termios.ECHO | termios.ICANON)
    began = time.monotonic()
    t.keys(b"q")
    assert t.ended() == 0
    assert time.monotonic() - began < 1 * SCALE
    t.restored()


@pytest.mark.parametrize("sig", ["INT", "TERM", "HUP", "QUIT"])
def test_signals_end_it(gw, top, sig):
    t = top(gw)
    os.kill(t.p.pid, getattr(signal, "SIG" + sig))
    assert t.ended() == 0
    t.restored()


@pytest.mark.parametrize("sig", ["SEGV", "BUS", "ABRT"])
def test_a_crash_gives_the_terminal_back(gw, top, sig):
    t = top(gw)
    os.kill(t.p.pid, getattr(signal, "SIG" + sig))
    assert t.ended() != 0
    t.restored()


def test_ctrl_c(gw, top):
    t = top(gw)
    t.keys(b"\x03")
    assert t.ended() == 0
    t.restored()


def test_ctrl_z(gw, top):
    """Stopped, the shell has its screen; continued, it draws again."""
    t = top(gw, "-d", "0.2")
    os.kill(t.p.pid, signal.SIGTSTP)

    def state():
        with open("/proc/%d/stat" % t.p.pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    wait_for(lambda: state() == "T", "a stopped process")
    wait_for(lambda: t.screen.modes.get("?1049") == "l", "the screen of before")
    assert termios.tcgetattr(t.tty) == t.before
    os.kill(t.p.pid, signal.SIGCONT)
    wait_for(lambda: t.screen.modes.get("?1049") == "h", "its own screen")
    t.wait("q quit")
    t.keys(b"q")
    assert t.ended() == 0
    t.restored()


def test_resizes(gw, top):
    with Traffic(gw):
        t = top(gw, "-d", "0.2", width=120, height=40)
        t.wait(r"^all/a +[1-9]")
        for width, height in ((40, 10), (20, 5), (200, 60), (80, 24), (3, 3), (100, 30)):
            t.resize(width, height)
            wait_for(lambda: t.lines()[-1].startswith("q quit"[:width]), "the last line at %dx%d" % (width, height))
            time.sleep(0.25)
            assert not t.screen.faults, (width, height, t.screen.faults[:3])
        t.wait(r"^all/a +[1-9]")


def test_a_resize_is_seen_at_once(gw, top):
    t = top(gw, "-d", "600", width=120, height=40)
    time.sleep(0.5)                     # past the first two looks
    t.resize(60, 12)
    wait_for(lambda: t.lines()[-1].startswith("q quit") and t.lines()[0].startswith("postern"), "a screen of 60x12")


def test_narrow_and_low(gw, top):
    with Traffic(gw, "/a", "/none"):
        t = top(gw, "-d", "0.2", "-p", "routes", width=40, height=10)
        t.wait(r"^all/a +[1-9]")
        text = t.text()
    assert re.search(r"req/s [1-9]", text) and "routes" in text and "5xx/s" in text, text


def test_keys(gw, top):
    with Traffic(gw, "/a", "/own"):
        t = top(gw, "-d", "0.3")
        t.wait(r"^all/a +[1-9]")
        t.keys(b"2")
        t.wait("tab routes")
        assert not re.search("^targets", t.text(), re.M)
        t.keys(b"\t")
        t.wait("tab targets")
        t.wait(r"^origin/127.0.0.1:\d+ ")
        t.keys(b"\x1b[Z")
        t.wait("tab routes")
        t.keys(b"0")
        t.wait("tab all")
        t.keys(b"\t")
        t.wait("tab services")
        t.keys(b"s")
        t.wait("s latency")
        t.keys(b"s")
        t.wait("s errors")
        t.keys(b"s")
        t.wait("s rate")
        t.keys(b"h")
        t.wait(r"^q +quit")
        t.keys(b"h")
        t.wait("^services")
        t.keys(b"\x1b[200~what\x1b[99;5u\x1bOx\x1b\xff\xfe")     # nothing that it knows, nothing that ends it
        t.keys(b"5")
        t.wait("tab processes")
        t.keys(b"p")
        t.wait("PAUSED")
        time.sleep(0.2)
        one = [s for s in t.lines() if s.startswith("worker")]
        time.sleep(0.8)
        assert [s for s in t.lines() if s.startswith("worker")] == one
        t.keys(b"p")
        wait_for(lambda: "PAUSED" not in t.text(), "going on")


def test_scrolls(gateway, origin, top):
    routes = ", ".join('{ name = "r%03d"; match = "GET /%d"; respond = 204; }' % (i, i) for i in range(60))
    g = gateway(config(origin(), routes=routes))
    with g.client() as c:
        for i in range(60):
            c.get("/%d" % i)
    t = top(g, "-d", "60", "-p", "routes", width=90, height=20)
    t.wait(r"^all/r000 ")
    t.wait(r"^routes 1-\d+/60")
    t.keys(b"\x1b[B")
    t.wait(r"^routes 2-\d+/60")
    assert "all/r000" not in t.text() and "all/r001" in t.text()
    t.keys(b"\x1b[6~")
    t.wait(r"^routes (1\d)-\d+/60")
    t.keys(b"\x1b[F")
    t.wait(r"^all/r059 ")
    t.keys(b"\x1b[B\x1b[B\x1b[A")
    t.keys(b"\x1b[H")
    t.wait(r"^routes 1-\d+/60")


def test_follows_the_gateway(gw, top):
    """A region that is replaced under it: the new one counts from its beginning."""
    with Traffic(gw):
        t = top(gw, "-d", "0.2")
        t.wait(r"^all/a +[1-9]")
        gw.stop()
        t.wait("no gateway runs here now")
        os.unlink(gw.path("run", "region"))
        time.sleep(0.5)
        assert t.p.poll() is None
        gw.start()
        t.wait(r"up \S+  revision 1")
        t.wait(r"^all/a +[1-9]")
        t.wait(r"^worker 0 %d +\d" % gw.workers()[0])
        # ... and one that stays: the same counters go on.
        gw.stop()
        t.wait("no gateway runs here now")
        gw.start()
        t.wait(r"^worker 0 %d +\d" % gw.workers()[0])
        t.keys(b"q")
        assert t.ended() == 0


def test_the_terminal_goes(gw, top):
    """As when an ssh connection breaks: it ends, and does not spin."""
    t = top(gw, "-d", "0.2")
    t.over = True
    t.thread.join()
    os.close(t.tty)
    t.tty = None
    os.close(t.master)
    assert t.p.wait(DEADLINE) in (0, 1)
    t.master, other = os.pipe()
    os.close(other)


def test_stdin_ends(gw):
    """Its input ends, the screen is still there."""
    m, s = pty.openpty()
    m2, s2 = pty.openpty()
    p = subprocess.Popen([POSTERN, "top", "-c", gw.conf], stdin=s, stdout=s2, stderr=s2,
                         env={**os.environ, "TERM": "xterm"}, start_new_session=True)
    os.close(s)
    os.close(s2)
    seen = b""
    while b"q quit" not in seen:
        seen += os.read(m2, 65536)
    os.close(m)
    end = time.monotonic() + DEADLINE
    while p.poll() is None and time.monotonic() < end:
        if readable(m2, 0.05):
            try:
                seen += os.read(m2, 65536)
            except OSError:
                break
    assert p.wait(DEADLINE) == 0
    os.close(m2)
    assert b"\x1b[?1049l" in seen


def test_no_color(gw, top):
    with Traffic(gw, "/a", "/limited"):
        t = top(gw, "-d", "0.2", env={"NO_COLOR": "1"})
        t.wait(r"^all/a +[1-9]")
        assert t.screen.styles <= 1, "colours"
        u = top(gw, "-d", "0.2")
        u.wait(r"^all/a +[1-9]")
        assert u.screen.styles > 10


@pytest.mark.parametrize("term", ["xterm-256color", "linux", "vt100", "screen", "never-heard-of", None])
def test_any_terminal(gw, top, term):
    env = {"TERM": term} if term else {}
    t = top(gw, "-d", "0.2", env=env)
    t.wait("^processes")
    t.keys(b"q")
    assert t.ended() == 0
    t.restored()


def test_a_dumb_terminal(gw, top):
    """One frame below the other, not a control character."""
    t = top(gw, "-d", "0.2", env={"TERM": "dumb"}, wait=False)
    wait_for(lambda: t.raw.count(b"req/s") >= 4, "frames")
    assert b"\x1b" not in t.raw
    t.keys(b"\x03")
    t.ended()
    t.screen.faults.clear()


# ---- without a terminal

def test_batch(gw):
    with Traffic(gw, "/a", "/limited"):
        code, out, err = run("top", "-c", gw.conf, "-b", "3", "-d", "0.3")
    assert code == 0 and not err and "\x1b" not in out
    frames = re.split(r"(?m)^postern ", out)[1:]
    assert len(frames) == 3, out
    for f in frames:
        assert "revision 1" in f and gw.path("run") in f
        assert re.search(r"^req/s [1-9]\d*  4xx/s", f, re.M), f
        assert re.search(r"^all/a +[1-9]\d* ", f, re.M), f
        assert re.search(r"^rate-limit/tight ", f, re.M), f
        assert re.search(r"^worker 1 ", f, re.M), f


def test_batch_of_one_pane(gw):
    gw.get("/a")
    code, out, err = run("top", "-c", gw.conf, "--batch=1", "-d", "0.1", "-p", "routes")
    assert code == 0 and re.search(r"^all/a +0 ", out, re.M) and "processes" not in out


def test_batch_ends_with_its_reader(gw):
    p = subprocess.Popen([POSTERN, "top", "-c", gw.conf, "-b", "-d", "0.1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert p.stdout.readline().startswith(b"postern ")
    p.stdout.close()
    assert p.wait(DEADLINE) == 0
    assert not p.stderr.read()


def test_without_a_terminal(gw):
    code, out, err = run("top", "-c", gw.conf, input=b"")
    assert code == 1 and not out and "no terminal" in err and "Next: postern top -b" in err


def test_without_a_gateway(tmp_path):
    code, out, err = run("top", "-b", "1", "--rundir", str(tmp_path))
    assert code == 1 and "no gateway runs here" in err and "postern top" in err and "\nNext: " in err


@pytest.mark.parametrize("args,word", [
    (["-d", "0"], '"0"'), (["-d", "soon"], '"soon"'), (["-b", "0"], '"0"'), (["-b", "x"], '"x"'), (["-s", "size"], '"size"'),
    (["-p", "rooms"], '"rooms"'), (["more"], '"more"'), (["--what"], "what")])
def test_wrong_words(args, word):
    code, out, err = run("top", *args)
    assert code == 2 and not out and word in err and "usage: postern top" in err


def test_help():
    code, out, err = run("top", "--help")
    assert code == 0 and "--batch" in out and not err
