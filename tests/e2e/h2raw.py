"""h2raw — HTTP/2 frame by frame: what the tests of conformance and of floods speak.

    c = Peer(port)                      # preface and SETTINGS sent, SETTINGS of the other side taken
    c.head(1, end=True)                 # a GET on stream 1
    c.frame(DATA, 0, 1, b"…")
    r = c.answer(1)                     # .status .headers .body .trailers
    assert c.failed(1, PROTOCOL_ERROR)  # RST_STREAM, or GOAWAY, or the end of the connection
"""
import collections
import socket
import struct
import time

import hpack

from harness import DEADLINE

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIO = 1, 1, 4, 8, 32
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR,
 REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM) = range(12)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

Frame = collections.namedtuple("Frame", "type flags id payload")


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    n = len(payload) if length is None else length
    return struct.pack(">I", n)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def settings(*pairs):
    return b"".join(struct.pack(">HI", k, v) for k, v in pairs)


def plain(headers):
    """A header block of literals without indexing: as written, upper case and all."""
    def text(s):
        s = s if isinstance(s, bytes) else s.encode()
        n = len(s)
        if n < 127:
            return bytes([n]) + s
        out, n = b"\x7f", n - 127
        while n >= 128:
            out += bytes([n & 127 | 128])
            n >>= 7
        return out + bytes([n]) + s
    return b"".join(b"\0" + text(k) + text(v) for k, v in headers)


def pseudo(method="GET", path="/", scheme="http", authority="test.example"):
    return [(":method", method), (":scheme", scheme), (":path", path), (":authority", authority)]


class Answer:
    def __init__(self):
        self.status, self.headers, self.trailers, self.body, self.interim = None, [], [], b"", []
        self.ended, self.reset = False, None

    def get(self, name, default=None):
        return next((v for k, v in self.headers if k == name), default)


class Peer:
    def __init__(self, port, *, start=True, ours=(), sock=None):
        self.sock = sock or socket.create_connection(("127.0.0.1", port), DEADLINE)
        self.sock.settimeout(DEADLINE)
        self.buf, self.eof = b"", False
        self.frames, self.answers = [], {}
        self.goaway, self.theirs = None, {}
        self.goaways, self.pongs, self.acks = [], [], 0
        self.decoder = hpack.Decoder()
        self.decoder.max_header_list_size = 1 << 20
        if start:
            self.send(PREFACE + frame(SETTINGS, 0, 0, settings(*ours)))
            self.until(lambda: self.theirs)
            self.send(frame(SETTINGS, ACK))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    # sending

    def send(self, data):
        try:
            self.sock.sendall(data)
            return True
        except OSError:
            return False

    def frame(self, *args, **kw):
        return self.send(frame(*args, **kw))

    def head(self, stream, headers=(), end=True, more=None, **kw):
        block = more or plain(pseudo(**kw) + list(headers))
        self.frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block)

    # receiving

    def answer_of(self, stream):
        return self.answers.setdefault(stream, Answer())

    def take(self, f):
        self.frames.append(f)
        a = self.answer_of(f.id) if f.id else None
        if f.type == HEADERS:
            lines = [(k if isinstance(k, str) else k.decode(), v if isinstance(v, str) else v.decode())
                     for k, v in self.decoder.decode(f.payload)]
            status = next((v for k, v in lines if k == ":status"), None)
            if status and status.startswith("1"):
                a.interim.append(int(status))
            elif status:
                a.status, a.headers = int(status), lines
            else:
                a.trailers = lines
        elif f.type == DATA:
            a.body += f.payload
        elif f.type == RST_STREAM:
            a.reset = struct.unpack(">I", f.payload)[0]
        elif f.type == GOAWAY:
            self.goaway = struct.unpack(">II", f.payload[:8])
            self.goaways.append(self.goaway)
        elif f.type == PING and f.flags & ACK:
            self.pongs.append(f.payload)
        elif f.type == SETTINGS:
            if f.flags & ACK:
                self.acks += 1
            else:
                self.theirs.update(struct.unpack(">HI", f.payload[i:i + 6]) for i in range(0, len(f.payload), 6))
                self.theirs[0] = True
        if a and f.type in (DATA, HEADERS) and f.flags & END_STREAM:
            a.ended = True

    def fill(self, timeout):
        self.sock.settimeout(max(timeout, 0.001))
        try:
            got = self.sock.recv(1 << 18)
        except socket.timeout:
            return False
        except OSError:
            got = b""
        finally:
            self.sock.settimeout(DEADLINE)
        if not got:
            self.eof = True
            return False
        self.buf += got
        while len(self.buf) >= 9:
            n = int.from_bytes(self.buf[:3], "big")
            if len(self.buf) < 9 + n:
                break
            f = Frame(self.buf[3], self.buf[4], int.from_bytes(self.buf[5:9], "big") & 0x7fffffff, self.buf[9:9 + n])
            self.buf = self.buf[9 + n:]
            self.take(f)
        return True

    def until(self, ask, what="an answer", timeout=None, or_eof=False):
        end = time.monotonic() + (timeout or DEADLINE)
        while not ask():
            if self.eof:
                if or_eof:
                    return False
                raise AssertionError("the connection ended before %s (GOAWAY %r)" % (what, self.goaway))
            if time.monotonic() > end:
                raise AssertionError("%s did not come; frames: %r" % (what, self.frames[-5:]))
            self.fill(end - time.monotonic())
        return True

    def answer(self, stream, timeout=None):
        a = self.answer_of(stream)
        self.until(lambda: a.ended or a.reset is not None, "the answer on %d" % stream, timeout)
        return a

    def get(self, stream, path="/", **kw):
        self.head(stream, path=path, **kw)
        return self.answer(stream)

    def ping(self):
        """Whatever was sent before has been dealt with."""
        n = len(self.pongs)
        self.frame(PING, 0, 0, b"in order")
        self.until(lambda: len(self.pongs) > n, "PING ACK", or_eof=True)

    def gone(self, *codes):
        """The connection ends, with one of these codes if it says GOAWAY."""
        self.until(lambda: self.eof or (self.goaway and self.goaway[1] != NO_ERROR), "the end", or_eof=True)
        return not self.goaway or self.goaway[1] in codes

    def failed(self, stream, *codes):
        a = self.answer_of(stream)
        self.until(lambda: self.eof or a.reset is not None or (self.goaway and self.goaway[1] != NO_ERROR) or a.status == 400,
                   "an error", or_eof=True)
        if a.status == 400:
            return True
        code = a.reset if a.reset is not None else self.goaway[1] if self.goaway else None
        return code is None or code in codes
