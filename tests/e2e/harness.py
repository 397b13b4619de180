"""harness — what the end-to-end tests stand on: a real gateway, origins and clients on raw sockets.

Gateway   starts `postern` with a configuration of its own, in its own directory, and watches it.
Origin    a server in threads that records the exact bytes it receives; scripted by a function.
Client    a connection to the gateway that sends bytes as they are and reads responses strictly.

Nothing here sleeps to make something true: wait_for() polls. Deadlines are generous and only
ever make a test fail, never pass. Everything is on 127.0.0.1.
"""
import errno
import fcntl
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
POSTERN = os.environ.get("POSTERN") or (
    os.path.abspath("postern") if os.path.exists("postern") else os.path.join(ROOT, "postern"))
POSTERN = os.path.abspath(POSTERN)


def _sanitized():
    try:
        with open(POSTERN, "rb") as f:
            return b"__asan_init" in f.read()
    except OSError:
        return False


SANITIZED = _sanitized()
SCALE = float(os.environ.get("POSTERN_E2E_SCALE") or (4 if SANITIZED else 2))
DEADLINE = 8 * SCALE


class Truncated(Exception):
    """The peer ended in the middle of a message; .got has what came."""

    def __init__(self, what, got=b"", response=None):
        super().__init__("%s; got %r" % (what, bytes(got[-300:])))
        self.got = got
        self.response = response


def wait_for(ask, what="what was waited for", timeout=None, every=0.01):
    """Polls until ask() is true and returns its value."""
    end = time.monotonic() + (timeout or DEADLINE)
    while True:
        got = ask()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError("%s did not come true within %.0f s (last: %r)"
                                 % (what, timeout or DEADLINE, got))
        time.sleep(every)


# ---- ports: below the ephemeral range, locked between processes

_PORT_DIR = "/tmp/postern-e2e-ports"
_ports = {}


def free_port():
    """A port nobody listens on; kept from other test processes until this one ends."""
    os.makedirs(_PORT_DIR, exist_ok=True)
    try:
        os.chmod(_PORT_DIR, 0o777)
    except OSError:
        pass
    for _ in range(500):
        port = random.randrange(10240, 32000)
        if port in _ports:
            continue
        fd = os.open("%s/%d" % (_PORT_DIR, port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
        except OSError:
            os.close(fd)
            continue
        _ports[port] = fd
        return port
    raise RuntimeError("no free port")


# ---- bytes

class Wire:
    """A socket and what was read from it."""

    def __init__(self, sock):
        self.sock = sock
        self.buf = b""
        self.seen = bytearray()         # everything received, up to RECORD bytes
        self.total = 0
        self.closed = False

    RECORD = 4 << 20

    def send(self, *pieces):
        for p in pieces:
            self.sock.sendall(p if isinstance(p, (bytes, bytearray, memoryview)) else p.encode("latin-1"))

    def fill(self):
        """One recv; False at the end."""
        data = self.sock.recv(262144)
        if not data:
            return False
        self.total += len(data)
        if len(self.seen) < self.RECORD:
            self.seen += data[:self.RECORD - len(self.seen)]
        self.buf += data
        return True

    def read_until(self, end):
        while end not in self.buf:
            if not self.fill():
                raise Truncated("end of stream before %r" % end, self.buf)
        i = self.buf.index(end) + len(end)
        got, self.buf = self.buf[:i], self.buf[i:]
        return got

    def read_exact(self, n):
        parts = [self.buf[:n]]
        have = len(parts[0])
        self.buf = self.buf[n:]
        while have < n:
            data = self.sock.recv(min(n - have, 1 << 20))
            if not data:
                raise Truncated("end of stream %d bytes early" % (n - have), b"".join(parts))
            self.total += len(data)
            if len(self.seen) < self.RECORD:
                self.seen += data[:self.RECORD - len(self.seen)]
            parts.append(data)
            have += len(data)
        return b"".join(parts)

    def read_chunked(self):
        """Body and trailers; every line strictly."""
        body = []
        while True:
            line = self.read_until(b"\r\n")[:-2]
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}(;[^\r\n]*)?", line):
                raise AssertionError("not a chunk size: %r" % line)
            n = int(line.split(b";")[0], 16)
            if n == 0:
                break
            body.append(self.read_exact(n))
            crlf = self.read_exact(2)
            assert crlf == b"\r\n", "chunk data not followed by CRLF: %r" % crlf
        trailers = []
        while True:
            line = self.read_until(b"\r\n")[:-2]
            if not line:
                return b"".join(body), trailers
            trailers.append(parse_line(line))

    def read_all(self):
        """Everything until the peer ends."""
        while self.fill():
            pass
        got, self.buf = self.buf, b""
        return got

    def at_end(self):
        """Reads to the end of the stream (FIN or RST) and returns what still came."""
        try:
            return self.read_all()
        except ConnectionError:
            got, self.buf = self.buf, b""
            return got

    def expect_end(self):
        rest = self.at_end()
        assert rest == b"", "expected the end of the connection, got %r" % rest[:500]

    def silent(self, seconds=0.2):
        """True if nothing (not even an end) comes for that long."""
        if self.buf:
            return False
        old = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            self.fill()
            return False
        except (socket.timeout, BlockingIOError):
            return True
        finally:
            self.sock.settimeout(old)

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Leaves by RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        if not self.closed:
            self.closed = True
            self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def parse_line(line):
    name, colon, value = line.partition(b":")
    assert colon and _TOKEN.fullmatch(name), "not a header line: %r" % line
    assert not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value), "control character in %r" % line
    return name.decode("latin-1"), value.strip(b" \t").decode("latin-1")


class Message:
    def __init__(self, head):
        self.head = head
        lines = head[:-4].split(b"\r\n")
        assert not any(b"\n" in s or b"\r" in s for s in lines), "bare CR or LF in %r" % head
        self.start = lines[0].decode("latin-1")
        self.headers = [parse_line(s) for s in lines[1:]]
        self.body = b""
        self.trailers = []

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def get(self, name, default=None):
        got = self.all(name)
        assert len(got) < 2, "%s is there %d times: %r" % (name, len(got), self.head)
        return got[0] if got else default

    def has(self, name):
        return bool(self.all(name))

    def names(self):
        return [n.lower() for n, _ in self.headers]

    def words(self, name):
        return [w.strip().lower() for v in self.all(name) for w in v.split(",") if w.strip()]


class Request(Message):
    def __init__(self, head, conn):
        super().__init__(head)
        self.method, self.target, self.version = self.start.split(" ")
        self.conn = conn
        self.complete = False


class Response(Message):
    def __init__(self, head):
        super().__init__(head)
        m = re.fullmatch(r"(HTTP/1\.[01]) (\d\d\d) ?(.*)", self.start)
        assert m, "not a status line: %r" % self.start
        self.version, self.status, self.reason_phrase = m.group(1), int(m.group(2)), m.group(3)
        self.interim = []
        self.framing = None

    @property
    def closes(self):
        if self.version == "HTTP/1.0":
            return "keep-alive" not in self.words("connection")
        return "close" in self.words("connection")

    def json(self):
        return json.loads(self.body)

    @property
    def reason(self):
        """The gateway's own word for what went wrong, or None when the answer is not the gateway's."""
        if self.get("content-type") != "application/problem+json":
            return None
        return self.json()["reason"]

    def __repr__(self):
        return "<%d %r %r>" % (self.status, self.headers, self.body[:200])


def assert_problem(r, status, reason=None):
    """The answer is the gateway's own, a whole problem document with this status (one or a set) and reason."""
    want = status if isinstance(status, (set, tuple, list)) else {status}
    assert r.status in want, "expected %s, got %r" % (sorted(want), r)
    assert r.get("content-type") == "application/problem+json", r
    doc = r.json()
    assert doc["status"] == r.status, doc
    for member in ("type", "title", "reason"):
        assert member in doc, doc
    if reason is not None:
        reasons = reason if isinstance(reason, (set, tuple, list)) else {reason}
        assert doc["reason"] in reasons, "expected %s, got %r" % (sorted(reasons), doc)
    return doc


class Client(Wire):
    """A connection to the gateway."""

    def __init__(self, port, host="127.0.0.1", timeout=None, rcvbuf=None, source=None):
        s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if rcvbuf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if source:
            s.bind((source, 0))
        s.settimeout(timeout or DEADLINE)
        s.connect((host, port))
        super().__init__(s)

    def request(self, method="GET", target="/", headers=(), body=None, host="test.example", version="HTTP/1.1"):
        self.send(make_request(method, target, headers, body, host, version))

    def ask(self, method="GET", target="/", headers=(), body=None, host="test.example", version="HTTP/1.1"):
        self.request(method, target, headers, body, host, version)
        return self.response(method)

    def get(self, target="/", **kw):
        return self.ask("GET", target, **kw)

    def head(self):
        return Response(self.read_until(b"\r\n\r\n"))

    def response(self, method="GET"):
        """The final response to a request with `method`, with its body; interim ones in .interim."""
        interim = []
        while True:
            r = self.head()
            if r.status >= 200 or r.status == 101:
                break
            interim.append(r)
        r.interim = interim
        self.body_of(r, method)
        return r

    def body_of(self, r, method="GET"):
        te, cl = r.all("transfer-encoding"), r.all("content-length")
        assert not (te and cl), "both length and coding: %r" % r.head
        assert len(te) < 2 and len(cl) < 2, r.head
        try:
            if method == "HEAD" or r.status in (101, 204, 304) or r.status < 200:
                r.framing = "none"
            elif te:
                assert te == ["chunked"], r.head
                r.framing = "chunked"
                r.body, r.trailers = self.read_chunked()
            elif cl:
                r.framing = "length"
                assert re.fullmatch(r"\d+", cl[0]), r.head
                r.body = self.read_exact(int(cl[0]))
            else:
                r.framing = "close"
                assert r.closes, "no framing, and the connection does not close: %r" % r.head
                r.body = self.read_all()
        except Truncated as e:
            e.response = r
            r.body = e.got
            raise


class AdminClient(Client):
    """A connection to the keeper over its Unix socket."""

    def __init__(self, path, timeout=None):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(timeout or DEADLINE)
        s.connect(path)
        Wire.__init__(self, s)


class Metrics:
    """Prometheus text, parsed strictly. value() sums the samples whose labels are as asked for."""

    LINE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)')
    LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')

    def __init__(self, text):
        self.text = text
        self.types, self.help, self.samples, self.by_name = {}, {}, [], {}
        assert text.endswith("\n"), text[-100:]
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                name, kind = line[7:].split(" ")
                assert name not in self.types, "%s is announced twice" % name
                self.types[name] = kind
                continue
            if line.startswith("# HELP "):
                name, _, words = line[7:].partition(" ")
                self.help[name] = words
                continue
            if not line or line.startswith("#"):
                continue
            m = self.LINE.fullmatch(line)
            assert m, "no sample: %r" % line
            name, labels, value = m.groups()
            got, at = {}, 0
            while at < len(labels or ""):
                part = self.LABEL.match(labels, at)
                assert part, "labels of %r" % line
                got[part.group(1)] = re.sub(r"\\(.)", lambda x: "\n" if x.group(1) == "n" else x.group(1), part.group(2))
                at = part.end()
            self.samples.append((name, got, float(value)))
            self.by_name.setdefault(name, []).append((got, float(value)))

    def find(self, name, **labels):
        """[(labels, value)] of the samples with that name and, among others, these labels."""
        return [(had, v) for had, v in self.by_name.get(name, ())
                if all(had.get(k) == str(w) for k, w in labels.items())]

    def value(self, name, default=0, **labels):
        got = [v for _, v in self.find(name, **labels)]
        return sum(got) if got else default

    def __contains__(self, name):
        return name in self.by_name


def make_request(method="GET", target="/", headers=(), body=None, host="test.example", version="HTTP/1.1"):
    out = ["%s %s %s\r\n" % (method, target, version)]
    if host is not None:
        out.append("Host: %s\r\n" % host)
    items = headers.items() if isinstance(headers, dict) else headers
    out += ["%s: %s\r\n" % h for h in items]
    if body is not None and not any(h.lower() in ("content-length", "transfer-encoding")
                                    for h, _ in (headers.items() if isinstance(headers, dict) else headers)):
        out.append("Content-Length: %d\r\n" % len(body))
    return "".join(out).encode("latin-1") + b"\r\n" + (body or b"")


def chunked(*pieces, trailers=()):
    out = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces if p)
    return out + b"0\r\n" + b"".join(b"%s: %s\r\n" % t for t in trailers) + b"\r\n"


def reply(status=200, body=b"ok", headers=(), reason="Word", version="HTTP/1.1", length=True):
    """The bytes of a response."""
    out = ["%s %d %s\r\n" % (version, status, reason)]
    items = headers.items() if isinstance(headers, dict) else headers
    out += ["%s: %s\r\n" % h for h in items]
    if length and status >= 200 and status not in (204, 304):
        out.append("Content-Length: %d\r\n" % len(body))
    return "".join(out).encode("latin-1") + b"\r\n" + body


# ---- origins

class OriginConn(Wire):
    """A connection that the gateway made."""

    def __init__(self, sock, origin, index):
        super().__init__(sock)
        self.origin = origin
        self.index = index
        self.requests = []
        self.ended = threading.Event()  # its thread is through

    def head(self):
        """The next request head, not its body; None when the gateway closed before it."""
        try:
            while b"\r\n\r\n" not in self.buf:
                if not self.fill():
                    if self.buf:
                        raise Truncated("end of stream in a request head", self.buf)
                    return None
        except ConnectionError:
            return None
        r = Request(self.read_until(b"\r\n\r\n"), self)
        self.requests.append(r)
        with self.origin.lock:
            self.origin.heads.append(r)
        return r

    def body_of(self, r):
        te, cl = r.all("transfer-encoding"), r.all("content-length")
        assert not (te and cl), "the gateway sent both length and coding: %r" % r.head
        assert len(te) < 2 and len(cl) < 2, r.head
        if te:
            assert te == ["chunked"], r.head
            r.body, r.trailers = self.read_chunked()
        elif cl:
            assert re.fullmatch(r"\d+", cl[0]), r.head
            r.body = self.read_exact(int(cl[0]))
        r.complete = True
        with self.origin.lock:
            self.origin.requests.append(r)
        return r

    def request(self):
        r = self.head()
        return self.body_of(r) if r else None

    def gone(self):
        """True once the gateway has ended the connection; reads away what it still sent."""
        self.at_end()
        return True


CLOSE = object()        # an answer function returns (bytes, CLOSE) to close afterwards


class Origin:
    """A server. `answer(request)` gives the bytes of the response (kept-alive; (bytes, CLOSE) closes; None closes
    at once), or `script(conn)` has the whole connection. `requests`: complete ones, `heads`: begun ones."""

    def __init__(self, answer=None, script=None, port=0, unix=None, backlog=1024, rcvbuf=None):
        self.answer = answer or (lambda r: reply(200, ("%s %s" % (r.method, r.target)).encode()))
        self.script = script
        self.lock = threading.Lock()
        self.requests, self.heads, self.conns, self.errors = [], [], [], []
        self.unix = unix
        self.rcvbuf = rcvbuf
        self.backlog = backlog
        self.port = port
        self.sock = None
        self.open()

    def open(self):
        if self.unix:
            s = socket.socket(socket.AF_UNIX)
            if os.path.exists(self.unix):
                os.unlink(self.unix)
            s.bind(self.unix)
            os.chmod(self.unix, 0o777)
        else:
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self.rcvbuf:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.rcvbuf)
            s.bind(("127.0.0.1", self.port))
            self.port = s.getsockname()[1]
        s.listen(self.backlog)
        self.sock = s
        threading.Thread(target=self._accept, args=(s,), daemon=True).start()

    @property
    def target(self):
        return "unix:" + self.unix if self.unix else "http://127.0.0.1:%d" % self.port

    def _accept(self, s):
        while True:
            try:
                c, _ = s.accept()
            except OSError:
                return
            if not self.unix:
                c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            c.settimeout(60 * SCALE)
            with self.lock:
                conn = OriginConn(c, self, len(self.conns))
                self.conns.append(conn)
            threading.Thread(target=self._run, args=(conn,), daemon=True).start()

    def _run(self, conn):
        try:
            if self.script:
                self.script(conn)
            else:
                self.serve(conn)
        except (ConnectionError, Truncated, socket.timeout):
            pass
        except OSError as e:
            if e.errno not in (errno.EBADF, errno.ENOTCONN):
                self.errors.append(e)
        except Exception as e:          # an assertion about what the gateway sent
            self.errors.append(e)
        finally:
            conn.ended.set()
            conn.close()

    def serve(self, conn):
        while True:
            r = conn.request()
            if r is None:
                return
            got = self.answer(r)
            if got is None:
                return
            if isinstance(got, tuple):
                conn.send(got[0])
                conn.half_close()
                conn.at_end()
                return
            conn.send(got)

    def stop_listening(self):
        if self.sock:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            self.sock.close()
            self.sock = None

    def close(self):
        self.stop_listening()
        for c in list(self.conns):
            if not c.closed:
                try:
                    c.sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def open_conns(self):
        return [c for c in list(self.conns) if not c.ended.is_set()]

    def wait_requests(self, n):
        wait_for(lambda: len(self.requests) >= n, "%d requests at the origin" % n)
        return self.requests

    def targets(self):
        return [r.target for r in self.requests]

    def raw(self):
        """All bytes received, of every connection."""
        return b"".join(bytes(c.seen) for c in list(self.conns))

    def forget(self):
        with self.lock:
            del self.requests[:]
            del self.heads[:]
        for c in self.conns:
            del c.seen[:]


# ---- configurations

def config(origin=None, *, routes='{ match = "* /*"; to = "origin"; }', workers=1, gateway="", listener="",
           upstream="", service="", policies="", listeners="", upstreams="", services="", domains=("*",), head=""):
    """A configuration with one listener, one upstream `origin` (an Origin, or a target text) and one service `all`; every
    argument is text in the language of the gateway that is put in at its place."""
    target = origin.target if isinstance(origin, Origin) else origin
    out = ['gateway: { workers = %s; rundir = "@DIR@/run"; statedir = "@DIR@/state"; %s };' % (
        workers if isinstance(workers, int) else '"%s"' % workers, gateway)]
    if head:
        out.insert(0, head)
    out.append('listeners: { main: { bind = [ "127.0.0.1:@PORT@" ]; %s }; %s };' % (listener, listeners))
    if target or upstreams:
        out.append("upstreams: { %s %s };" % (
            'origin: { targets = [ "%s" ]; %s };' % (target, upstream) if target else "", upstreams))
    if policies:
        out.append("policies: { %s };" % policies)
    out.append("services: { all: { domains = [ %s ]; %s routes = ( %s ); }; %s };" % (
        ", ".join('"%s"' % d for d in domains), service, routes, services))
    return "\n".join(out) + "\n"


# ---- the gateway

SIGTERM = signal.SIGTERM

# For configurations of tests that look into /proc of the children: only root may where core dumps are off.
WATCHED = "" if os.geteuid() == 0 else "core_dumps = true; "


def children(pid):
    """Child pids in the order of their birth."""
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return [int(s) for s in f.read().split()]
    except OSError:
        return []


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False


def parent_of(pid):
    """0 when it is gone."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return int(f.read().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def no_new_privs(pid):
    try:
        with open("/proc/%d/status" % pid) as f:
            return "NoNewPrivs:\t1" in f.read()
    except OSError:
        return False


def title(pid):
    try:
        with open("/proc/%d/comm" % pid) as f:
            comm = f.read().strip()
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return comm + " " + f.read().replace(b"\0", b" ").decode("latin-1").strip()
    except OSError:
        return ""


def memory(pid, what="Pss"):
    """Bytes: Pss or Rss of a process, and its private part by "Private"."""
    total = 0
    with open("/proc/%d/smaps_rollup" % pid) as f:
        for line in f:
            key = line.split(":")[0]
            if key == what or (what == "Private" and key.startswith("Private_")):
                total += int(line.split()[1]) * 1024
    return total


class Notify:
    """A NOTIFY_SOCKET: what systemd would be told."""

    def __init__(self, path):
        self.path = path
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)
        os.chmod(path, 0o777)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.sock.settimeout(0.2)
        self.messages = []              # (dict, text)
        self.pids = set()               # who sent
        self.over = False
        # Ten messages fill the queue of such a socket: they are read as they come.
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while not self.over:
            try:
                data, others, _, _ = self.sock.recvmsg(65536, 256)
            except socket.timeout:
                continue
            except OSError:
                return
            for level, kind, payload in others:
                if kind == socket.SCM_CREDENTIALS:
                    self.pids.add(struct.unpack("iii", payload)[0])
            text = data.decode("utf-8", "replace")
            self.messages.append((dict(s.split("=", 1) for s in text.split("\n") if "=" in s), text))

    def pump(self):
        return list(self.messages)

    def count(self, key, value=None):
        return sum(1 for m, _ in self.pump() if key in m and (value is None or m[key] == value))

    def status(self):
        got = [m["STATUS"] for m, _ in self.pump() if "STATUS" in m]
        return got[-1] if got else ""

    def close(self):
        self.over = True
        # Wakes the thread. (Once it is shut down, such a socket can be read, with nothing in it: Python would spin.)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            try:
                s.sendto(b"\n", self.path)
            except OSError:
                pass
        self.thread.join()
        self.sock.close()


class Gateway:
    """A running postern. `conf`: text with @PORT@ (@PORT2@ …) and @DIR@ in it. Readiness and the end of reloads are
    learnt as systemd would learn them, from NOTIFY_SOCKET."""

    def __init__(self, conf, *, env=None, args=(), start=True, binary=None, nofile=None, dir=None, ports=None, wait=True):
        self.dir = dir or tempfile.mkdtemp(prefix="postern-e2e-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.keep_dir = dir is not None
        self.ports = ports or [free_port() for _ in range(4)]
        self.port = self.ports[0]
        self.conf = os.path.join(self.dir, "postern.conf")
        self.binary = binary or POSTERN
        self.args = list(args)
        self.env = dict(env or {})
        self.nofile = nofile
        self.proc = None
        self.master = None
        self.log_path = os.path.join(self.dir, "stderr")
        self.stable = True              # the same children at the end as at the start
        self.expect_exit = False
        self.pids = []
        self.write(conf)
        self.notify = None
        if start:
            self.start(wait)

    # configuration

    def text(self, conf):
        for i, p in reversed(list(enumerate(self.ports))):
            conf = conf.replace("@PORT%s@" % ("" if i == 0 else i + 1), str(p))
        return conf.replace("@DIR@", self.dir)

    def write(self, conf, name=None):
        path = os.path.join(self.dir, name) if name else self.conf
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(self.text(conf))
        return path

    def path(self, *names):
        return os.path.join(self.dir, *names)

    # life

    def start(self, wait=True):
        n = 0
        while os.path.exists(self.path("notify%d" % n)):
            n += 1
        self.notify = Notify(self.path("notify%d" % n))
        env = {k: v for k, v in os.environ.items() if k not in ("NOTIFY_SOCKET", "JOURNAL_STREAM", "WATCHDOG_USEC")}
        env["NOTIFY_SOCKET"] = self.notify.path
        env.setdefault("ASAN_OPTIONS", "detect_leaks=0:abort_on_error=0:handle_abort=1:detect_stack_use_after_return=0")
        env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        env.update(self.env)
        limit = self.nofile

        def limits():
            if limit:
                import resource
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
        self.proc = subprocess.Popen([self.binary, "-c", self.conf] + self.args, stdin=subprocess.DEVNULL,
                                     stdout=open(self.path("stdout"), "ab"), stderr=open(self.log_path, "ab"),
                                     cwd=self.dir, env=env, preexec_fn=limits if limit else None, start_new_session=True)
        self.master = self.proc.pid
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        def ready():
            if self.proc.poll() is not None:
                raise AssertionError("postern ended with %d before it was ready:\n%s" % (self.proc.returncode, self.log()))
            return self.notify.count("READY", "1") > 0
        wait_for(ready, "READY=1 of the gateway")
        self.pids = self.children()

    def children(self):
        """Workers and keeper. The builder, which dies after its one job, is no part of it: it alone may gain privileges."""
        end = time.monotonic() + 2
        while True:
            pids = children(self.master)
            if time.monotonic() > end or no_new_privs(os.getpid()) or all(no_new_privs(p) for p in pids):
                return [p for p in pids if alive(p)]
            time.sleep(0.002)

    def stat(self):
        """What `postern stat` says, as JSON."""
        code, out, err = self.run("stat", "--rundir", self.path("run"), "-o", "json")
        assert code == 0, err
        return json.loads(out)

    def counter(self, name):
        return self.stat()["counters"][name]

    def workers(self):
        """Pids of the workers, by number."""
        rows = [p for p in self.stat()["processes"] if p["role"] == "worker" and parent_of(p["pid"]) == self.master]
        return [p["pid"] for p in sorted(rows, key=lambda p: p["number"])]

    def keeper(self):
        got = [p["pid"] for p in self.stat()["processes"] if p["role"] == "keeper" and parent_of(p["pid"]) == self.master]
        return got[0] if got else None

    worker_pids = workers
    keeper_pid = keeper

    def kill(self, role, number=0, sig=signal.SIGKILL, wait=True):
        """Kills a worker (by number) or the keeper; waits until another serves in its place and returns its pid."""
        def pid():
            got = [p for p in self.stat()["processes"] if p["role"] == role and p["number"] == number
                   and parent_of(p["pid"]) == self.master]
            return got[0] if got else None
        self.stable = False
        old = wait_for(pid, "%s %d" % (role, number))["pid"]
        os.kill(old, sig)
        return self.wait_respawn(role, old, number) if wait else old

    def kill_worker(self, number=0, **kw):
        return self.kill("worker", number, **kw)

    def kill_keeper(self, **kw):
        return self.kill("keeper", **kw)

    def wait_respawn(self, role, old, number=0):
        """The pid of the process that took the place of `old`, once it serves."""
        def other():
            for p in self.stat()["processes"]:
                if p["role"] == role and p["number"] == number and p["pid"] != old and p["state"] == "serving" \
                        and parent_of(p["pid"]) == self.master:
                    return p["pid"]
            return None
        return wait_for(other, "another %s in the place of %d" % (role, old))

    # the keeper

    @property
    def admin_socket(self):
        return self.path("run", "admin.sock")

    def admin(self, method="GET", target="/livez", body=None, headers=(), timeout=None):
        """One request over the admin socket; a dict or list as body is sent as JSON. The Response."""
        headers = list(headers.items() if isinstance(headers, dict) else headers)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.append(("Content-Type", "application/json"))
        if isinstance(body, str):
            body = body.encode()
        with AdminClient(self.admin_socket, timeout) as c:
            return c.ask(method, target, [("Connection", "close")] + headers, body, host="localhost")

    def wait_admin(self):
        """The keeper answers."""
        def answers():
            try:
                return self.admin("GET", "/livez").status == 200
            except (OSError, Truncated):
                return False
        wait_for(answers, "an answer on %s" % self.admin_socket)

    def metrics(self):
        """What the keeper says at /metrics."""
        r = self.admin("GET", "/metrics")
        assert r.status == 200, r
        return Metrics(r.body.decode())

    def cli(self, *args, status=0, **kw):
        """A verb of the command line, told about this gateway by -c: its stdout; as JSON when `-o json` was asked for.
        `status`: the exit status it must have (None: any, and (status, stdout, stderr) is returned)."""
        args = [str(a) for a in args]
        code, out, err = self.run(*args, "-c", self.conf, **kw)
        if status is None:
            return code, out, err
        assert code == status, "postern %s: %d\n%s%s" % (" ".join(args), code, out, err)
        if "json" in args and "-o" in args and out.strip():
            return json.loads(out)
        return out

    def signal(self, sig):
        os.kill(self.master, sig)

    def reload(self, conf=None, wait=True):
        """HUP; waits until the gateway says that the reload is over and returns its STATUS."""
        if conf is not None:
            self.write(conf)
        before = self.notify.count("RELOADING", "1")
        ready = self.notify.count("READY", "1")
        status = self.notify.status()
        self.signal(signal.SIGHUP)
        if not wait:
            return None
        wait_for(lambda: self.notify.count("RELOADING", "1") > before and self.notify.count("READY", "1") > ready,
                 "RELOADING=1 and READY=1 after SIGHUP")
        # The revision is in it, so it is another one.
        return wait_for(lambda: self.notify.status() != status and self.notify.status(), "a new STATUS", every=0.002)

    def log(self):
        try:
            with open(self.log_path, errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def wait_log(self, pattern, timeout=None):
        return wait_for(lambda: re.search(pattern, self.log()), "%r in the log" % pattern, timeout)

    def wait_exit(self, timeout=None):
        try:
            return self.proc.wait(timeout or DEADLINE + 5)
        except subprocess.TimeoutExpired:
            raise AssertionError("the gateway did not exit; children %r" % [(p, title(p)) for p in self.children()])

    def stop(self, sig=SIGTERM):
        if self.proc and self.proc.poll() is None:
            self.signal(sig)
            return self.wait_exit()
        return self.proc.returncode if self.proc else None

    def adopt(self, pid):
        """After a binary upgrade another process is the master."""
        self.master = pid
        self.pids = self.children()

    def all_pids(self):
        """Every process of ours: by session."""
        got = []
        for p in os.listdir("/proc"):
            if p.isdigit():
                try:
                    with open("/proc/%s/stat" % p) as f:
                        fields = f.read().rsplit(")", 1)[1].split()
                    if int(fields[3]) == self.proc.pid and fields[0] not in ("Z", "X"):
                        got.append(int(p))
                except (OSError, IndexError):
                    pass
        return got

    def finish(self, failed=False):
        """Teardown: what must hold of every gateway."""
        problems = []
        try:
            if self.proc and self.master != self.proc.pid and alive(self.master):
                self.proc.poll()
                self.signal(signal.SIGINT)
                try:
                    wait_for(lambda: not alive(self.master), "the end of the new master")
                except AssertionError as e:
                    problems.append(str(e))
            elif self.proc and self.proc.poll() is None:
                if self.stable and self.pids and self.children() != self.pids:
                    problems.append("processes changed: %r became %r" % (self.pids, self.children()))
                self.signal(signal.SIGINT)
                try:
                    self.proc.wait(DEADLINE)
                except subprocess.TimeoutExpired:
                    problems.append("SIGINT did not end the gateway")
            elif self.proc and not self.expect_exit and self.master == self.proc.pid:
                problems.append("the master had ended with %d" % self.proc.returncode)
            for pid in self.all_pids() if self.proc else []:
                if not problems and not self.expect_exit:
                    def gone(p=pid):
                        return not alive(p)
                    try:
                        wait_for(gone, "end of process %d" % pid, timeout=3)
                        continue
                    except AssertionError as e:
                        problems.append(str(e))
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
            if self.proc and self.proc.poll() is None:
                self.proc.kill()
                self.proc.wait()
            log = self.log()
            m = re.search(r"AddressSanitizer|LeakSanitizer|runtime error:|Assertion .* failed|assertion failed", log)
            if m:
                problems.append("%s in the log" % m.group(0))
            if failed or problems:
                print("---- stderr of the gateway (%s)" % self.dir)
                print(log[-20000:])
                with open(self.conf) as f:
                    print("---- configuration\n" + f.read()[:5000])
        finally:
            if self.notify:
                self.notify.close()
            if not self.keep_dir and not os.environ.get("POSTERN_E2E_KEEP"):
                shutil.rmtree(self.dir, ignore_errors=True)
        assert not problems, "; ".join(problems)

    # talking to it

    def client(self, port=None, **kw):
        return Client(port or self.port, **kw)

    def ask(self, method="GET", target="/", headers=(), body=None, host="test.example", port=None, version="HTTP/1.1"):
        with self.client(port) as c:
            return c.ask(method, target, headers, body, host, version)

    def get(self, target="/", **kw):
        return self.ask("GET", target, **kw)

    def raw(self, data, port=None):
        """Sends bytes on a new connection, half-closes not, and returns (first response, what follows until the end)."""
        with self.client(port) as c:
            c.send(data)
            r = c.response()
            return r, c.at_end()

    # command line

    def run(self, *args, **kw):
        return run(*args, binary=self.binary, **kw)


def run(*args, binary=None, env=None, input=None, timeout=None, cwd=None):
    """Runs postern with arguments to its end: (status, stdout, stderr)."""
    e = {k: v for k, v in os.environ.items() if k not in ("NOTIFY_SOCKET", "JOURNAL_STREAM", "WATCHDOG_USEC")}
    e.setdefault("ASAN_OPTIONS", "detect_leaks=0")
    e["NO_COLOR"] = "1"
    e.update(env or {})
    p = subprocess.Popen([binary or POSTERN, *args], stdin=subprocess.PIPE if input is not None else None,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=e, cwd=cwd, start_new_session=True)
    try:
        out, err = p.communicate(input, timeout or DEADLINE + 10)
    except subprocess.TimeoutExpired:
        # Its children hold the pipes: a gateway that should not have started goes as a whole.
        os.killpg(p.pid, signal.SIGKILL)
        p.communicate()
        raise
    err = err.decode(errors="replace")
    assert "AddressSanitizer" not in err and "runtime error:" not in err, err
    return p.returncode, out.decode(errors="replace"), err
