"""RFC 9113 and RFC 7541 as a server has to hold them: the cases of h2spec (generic, http2, hpack) that mean something to a
server, by bare frames. A stream error may be answered by a connection error (RFC 9113 §5.4.2)."""
import struct

import hpack
import pytest

from h2raw import (ACK, CANCEL, COMPRESSION_ERROR, CONTINUATION, DATA, END_HEADERS, END_STREAM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR,
                   GOAWAY, HEADERS, PADDED, PING, PREFACE, PRIO, PRIORITY, PROTOCOL_ERROR, PUSH_PROMISE,
                   REFUSED_STREAM, RST_STREAM, SETTINGS, STREAM_CLOSED, WINDOW_UPDATE, Peer, frame, plain, pseudo, settings)
from harness import Gateway, Origin, config, reply

GET = plain(pseudo())


@pytest.fixture(scope="module")
def served(shared):
    o = shared(Origin(lambda r: reply(200, b"x" * 20 if r.target == "/" else b"hello")))
    g = Gateway(config(o, listener='http = [ "h2", "1.1" ];'), start=False)
    shared(g)
    g.start()
    return g


@pytest.fixture
def peer(served):
    with Peer(served.port) as c:
        yield c


def works(c, stream=1):
    assert c.get(stream).status == 200


# ---- 3.4 preface, 4 frames

def test_the_preface_must_be_right(served):
    with Peer(served.port, start=False) as c:
        c.send(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + frame(SETTINGS))
        assert c.until(lambda: c.eof or c.goaway or c.buf.startswith(b"HTTP/1.1 4"), or_eof=True) or c.eof


def test_settings_come_first(served):
    with Peer(served.port, start=False) as c:
        c.send(PREFACE + frame(PING, 0, 0, b"12345678"))
        assert c.gone(PROTOCOL_ERROR)


def test_ours_come_first(served):
    with Peer(served.port) as c:
        assert c.frames[0].type == SETTINGS and not c.frames[0].flags & ACK
        assert c.theirs[3] == 128 and c.theirs[8] == 1
        c.until(lambda: c.acks, "SETTINGS ACK")


def test_unknown_frames_are_ignored(peer):
    peer.frame(0xff, 0xff, 0, b"\0" * 8)
    peer.frame(0x16, 0, 7, b"anything")
    works(peer)


def test_unknown_flags_are_ignored(peer):
    peer.frame(PING, 0xfe, 0, b"flagging")
    peer.until(lambda: b"flagging" in peer.pongs, "PING ACK")


def test_the_reserved_bit_is_ignored(peer):
    peer.send(frame(PING, 0, 0x80000000, b"reserved"))
    peer.until(lambda: b"reserved" in peer.pongs, "PING ACK")


@pytest.mark.parametrize("kind, stream", [(DATA, 1), (HEADERS, 1), (SETTINGS, 0), (PING, 0)])
def test_frames_above_the_maximum(peer, kind, stream):
    if kind == DATA:
        peer.head(1, end=False)
    peer.frame(kind, END_HEADERS if kind == HEADERS else 0, stream, b"\0" * 16385)
    assert peer.failed(1, FRAME_SIZE_ERROR)


def test_the_largest_frame(peer):
    peer.head(1, end=False, method="POST")
    peer.frame(DATA, END_STREAM, 1, b"x" * 16384)
    assert peer.answer(1).status == 200


def test_a_broken_block(peer):
    peer.frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x40")
    assert peer.gone(COMPRESSION_ERROR)


def test_nothing_between_the_parts_of_a_block(peer):
    peer.frame(HEADERS, END_STREAM, 1, GET)
    peer.frame(PRIORITY, 0, 1, b"\0\0\0\0\x10")
    assert peer.gone(PROTOCOL_ERROR)


def test_another_head_between_the_parts(peer):
    peer.frame(HEADERS, END_STREAM, 1, GET)
    peer.frame(HEADERS, END_STREAM | END_HEADERS, 3, GET)
    assert peer.gone(PROTOCOL_ERROR)


# ---- 5.1 states

def test_idle_streams_take_only_heads(served):
    for kind, payload in ((DATA, b"test"), (RST_STREAM, b"\0\0\0\x08"), (WINDOW_UPDATE, b"\0\0\0\x64"), (CONTINUATION, GET)):
        with Peer(served.port) as c:
            c.frame(kind, END_HEADERS if kind == CONTINUATION else 0, 1, payload)
            assert c.failed(1, PROTOCOL_ERROR, STREAM_CLOSED), kind


@pytest.mark.parametrize("kind", [DATA, HEADERS, CONTINUATION])
def test_half_closed_takes_no_more(served, kind):
    with Peer(served.port) as c:
        c.head(1)
        c.frame(kind, END_STREAM | END_HEADERS if kind != CONTINUATION else END_HEADERS, 1, b"test" if kind == DATA else GET)
        c.until(lambda: c.eof or c.goaway or c.answer_of(1).reset is not None, or_eof=True)
        code = c.goaway[1] if c.goaway else c.answer_of(1).reset
        assert code in (None, STREAM_CLOSED, PROTOCOL_ERROR)


@pytest.mark.parametrize("kind", [DATA, HEADERS, CONTINUATION])
def test_closed_by_reset(served, kind):
    """Frames that were under way are tolerated, but never taken for a request."""
    with Peer(served.port) as c:
        c.head(1, end=False)
        c.frame(RST_STREAM, 0, 1, struct.pack(">I", CANCEL))
        c.frame(kind, END_HEADERS if kind != DATA else 0, 1, b"test" if kind == DATA else GET)
        c.frame(PING, 0, 0, b"in order")
        c.until(lambda: c.eof or c.goaway or c.answer_of(1).reset is not None or c.pongs, or_eof=True)
        code = c.goaway[1] if c.goaway else c.answer_of(1).reset
        assert code in (None, STREAM_CLOSED, PROTOCOL_ERROR)
        assert c.answer_of(1).status is None


@pytest.mark.parametrize("kind", [DATA, HEADERS])
def test_closed_by_its_end(peer, kind):
    works(peer)
    peer.frame(kind, END_STREAM | END_HEADERS, 1, b"test" if kind == DATA else GET)
    peer.frame(PING, 0, 0, b"in order")
    peer.until(lambda: peer.eof or peer.goaway or peer.answer_of(1).reset is not None or peer.pongs, or_eof=True)
    code = peer.goaway[1] if peer.goaway else peer.answer_of(1).reset
    assert code in (None, STREAM_CLOSED, PROTOCOL_ERROR)


def test_even_ids_are_not_the_clients(peer):
    peer.head(2)
    assert peer.gone(PROTOCOL_ERROR)


def test_ids_grow(peer):
    works(peer, 5)
    peer.head(3)
    assert peer.failed(3, PROTOCOL_ERROR, STREAM_CLOSED)
    assert peer.answer_of(3).status is None


def test_more_streams_than_allowed(served):
    with Peer(served.port) as c:
        n = c.theirs[3]
        for i in range(n + 1):
            c.head(1 + 2 * i, end=False, method="POST")
        last = 1 + 2 * n
        assert c.failed(last, PROTOCOL_ERROR, REFUSED_STREAM)


# ---- 5.3 priority, which is to be ignored, but for a stream that hangs on itself

def test_priorities_are_taken(peer):
    for i in range(3, 21, 2):
        peer.frame(PRIORITY, 0, i, struct.pack(">IB", i - 2, 200))
    peer.frame(HEADERS, END_STREAM | END_HEADERS | PRIO, 21, struct.pack(">IB", 0x80000003, 255) + GET)
    assert peer.answer(21).status == 200


def test_a_head_that_hangs_on_itself(peer):
    peer.frame(HEADERS, END_STREAM | END_HEADERS | PRIO, 1, struct.pack(">IB", 1, 255) + GET)
    assert peer.failed(1, PROTOCOL_ERROR)


@pytest.mark.parametrize("n", [4, 6])
def test_priority_has_five_bytes(peer, n):
    peer.frame(PRIORITY, 0, 1, b"\0" * n)
    assert peer.failed(1, FRAME_SIZE_ERROR)


def test_priority_of_stream_0(peer):
    peer.frame(PRIORITY, 0, 0, b"\0\0\0\1\0")
    assert peer.gone(PROTOCOL_ERROR)


# ---- 6 frames, one by one

def test_data_on_stream_0(peer):
    peer.frame(DATA, 0, 0, b"test")
    assert peer.gone(PROTOCOL_ERROR)


@pytest.mark.parametrize("kind", [DATA, HEADERS])
def test_padding_beyond_the_frame(peer, kind):
    if kind == DATA:
        peer.head(1, end=False)
    peer.frame(kind, PADDED | END_STREAM | (END_HEADERS if kind == HEADERS else 0), 1, b"\x06test" if kind == DATA else b"\xff" + GET)
    assert peer.gone(PROTOCOL_ERROR)


def test_padding(peer):
    peer.frame(HEADERS, PADDED | END_HEADERS, 1, b"\x03" + plain(pseudo("POST")) + b"\0\0\0")
    peer.frame(DATA, PADDED | END_STREAM, 1, b"\x05hello\0\0\0\0\0")
    assert peer.answer(1).status == 200


def test_headers_on_stream_0(peer):
    peer.frame(HEADERS, END_STREAM | END_HEADERS, 0, GET)
    assert peer.gone(PROTOCOL_ERROR)


def test_rst_stream(served):
    for stream, payload, code in ((0, b"\0\0\0\x08", PROTOCOL_ERROR), (1, b"\0\0\0", FRAME_SIZE_ERROR)):
        with Peer(served.port) as c:
            c.head(1, end=False)
            c.frame(RST_STREAM, 0, stream, payload)
            assert c.gone(code)


def test_settings(served):
    for flags, stream, payload, code in (
            (ACK, 0, b"\0\0\0\0\0\0", FRAME_SIZE_ERROR), (0, 1, settings((3, 100)), PROTOCOL_ERROR), (0, 0, b"\0\3\0", FRAME_SIZE_ERROR),
            (0, 0, settings((2, 2)), PROTOCOL_ERROR), (0, 0, settings((4, 0x80000000)), FLOW_CONTROL_ERROR),
            (0, 0, settings((5, 16383)), PROTOCOL_ERROR), (0, 0, settings((5, 16777216)), PROTOCOL_ERROR)):
        with Peer(served.port) as c:
            c.frame(SETTINGS, flags, stream, payload)
            assert c.gone(code), (flags, stream, payload)


def test_unknown_settings(peer):
    peer.frame(SETTINGS, 0, 0, settings((0xff, 1), (0x99, 7)))
    works(peer)
    peer.until(lambda: peer.acks >= 2, "SETTINGS ACK")


def test_push_promise_is_not_the_clients(peer):
    peer.frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + GET)
    assert peer.gone(PROTOCOL_ERROR)


def test_ping(peer):
    peer.frame(PING, 0, 0, b"h2spec!!")
    peer.until(lambda: peer.pongs, "PING ACK")
    assert peer.pongs == [b"h2spec!!"]
    peer.frame(PING, ACK, 0, b"unasked!")
    works(peer)


@pytest.mark.parametrize("stream, payload, code", [(1, b"12345678", PROTOCOL_ERROR), (0, b"123456", FRAME_SIZE_ERROR)])
def test_odd_pings(peer, stream, payload, code):
    peer.frame(PING, 0, stream, payload)
    assert peer.gone(code)


def test_goaway_on_a_stream(peer):
    peer.frame(GOAWAY, 0, 1, b"\0" * 8)
    assert peer.gone(PROTOCOL_ERROR)


def test_goaway_lets_it_end(peer):
    peer.head(1)
    peer.frame(GOAWAY, 0, 0, b"\0" * 8)
    assert peer.answer(1).status == 200
    peer.until(lambda: peer.eof, or_eof=True)


@pytest.mark.parametrize("stream, payload, codes", [
    (0, b"\0\0\0\0", (PROTOCOL_ERROR,)), (1, b"\0\0\0\0", (PROTOCOL_ERROR,)), (0, b"\0\0\1", (FRAME_SIZE_ERROR,)),
    (0, b"\x7f\xff\xff\xff", (FLOW_CONTROL_ERROR,)), (1, b"\x7f\xff\xff\xff", (FLOW_CONTROL_ERROR,))])
def test_window_update(peer, stream, payload, codes):
    peer.head(1, end=False, method="POST")
    peer.frame(WINDOW_UPDATE, 0, stream, payload)
    assert peer.failed(1, *codes)


def test_a_window_of_one(served):
    with Peer(served.port, ours=[(4, 1)]) as c:
        c.head(1)
        a = c.answer_of(1)
        c.until(lambda: a.body)
        c.ping()
        assert a.body == b"x" and not a.ended
        c.frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 3))
        c.until(lambda: len(a.body) == 4)
        # A new first size counts for streams that are there, and may make a window negative.
        c.frame(SETTINGS, 0, 0, settings((4, 0)))
        c.frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 1))
        c.ping()
        assert len(a.body) == 4
        c.frame(SETTINGS, 0, 0, settings((4, 65535)))
        assert len(c.answer(1).body) == 20


def test_initial_window_that_overflows(served):
    with Peer(served.port) as c:
        c.head(1, end=False, method="POST")
        c.frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 0x7fffffff - 65535))
        c.frame(SETTINGS, 0, 0, settings((4, 65536)))
        assert c.failed(1, FLOW_CONTROL_ERROR)


def test_continuation(peer):
    b = plain(pseudo() + [("x-long", "y" * 100)])
    peer.frame(HEADERS, END_STREAM, 1, b[:10])
    peer.frame(CONTINUATION, 0, 1, b[10:50])
    peer.frame(CONTINUATION, END_HEADERS, 1, b[50:])
    assert peer.answer(1).status == 200


def test_odd_continuations(served):
    for first, stream, before in ((END_HEADERS, 1, HEADERS), (0, 0, HEADERS), (0, 3, HEADERS), (0, 1, DATA)):
        with Peer(served.port) as c:
            if before == DATA:
                c.head(1, end=False)
                c.frame(DATA, 0, 1, b"test")
            else:
                c.frame(HEADERS, first, 1, GET)
            c.frame(CONTINUATION, END_HEADERS, stream, plain([("x", "y")]))
            assert c.gone(PROTOCOL_ERROR, STREAM_CLOSED)


# ---- 8 messages

MALFORMED = {
    "upper case": pseudo() + [("X-UPPER", "1")],
    "unknown pseudo": pseudo() + [(":test", "ok")],
    "response pseudo": pseudo() + [(":status", "200")],
    "pseudo behind others": [("x", "y")] + pseudo(),
    "connection": pseudo() + [("connection", "keep-alive")],
    "te": pseudo() + [("te", "trailers, deflate")],
    "transfer-encoding": pseudo() + [("transfer-encoding", "chunked")],
    "empty path": pseudo(path=""),
    "no method": pseudo()[1:],
    "no scheme": [p for p in pseudo() if p[0] != ":scheme"],
    "no path": [p for p in pseudo() if p[0] != ":path"],
    "two methods": pseudo() + [(":method", "GET")],
    "two schemes": [(":scheme", "http")] + pseudo(),
    "two paths": [(":path", "/")] + pseudo(),
    "line feed": pseudo() + [("x", "a\nb: c")],
    "carriage return": pseudo() + [("x", "a\rb")],
    "nul": pseudo() + [("x", "a\0b")],
    "blank in front": pseudo() + [("x", " a")],
    "blank in a name": pseudo() + [("x y", "a")],
    "colon in a name": pseudo() + [("x:y", "a")],
    "empty name": pseudo() + [("", "a")],
    "host that differs": pseudo() + [("host", "other.example")],
    "userinfo": pseudo(authority="user@test.example"),
    "blank in the path": pseudo(path="/a b"),
    "request line in the path": pseudo(path="/ HTTP/1.1\r\nHost: evil"),
    "blank in the method": pseudo(method="GET / HTTP/1.1"),
    "no authority": [p for p in pseudo() if p[0] != ":authority"],
    "length and none": pseudo() + [("content-length", "1")],
    "two lengths": pseudo() + [("content-length", "0"), ("content-length", "0")],
    "odd length": pseudo() + [("content-length", "+0")],
    "protocol without CONNECT": pseudo() + [(":protocol", "websocket")],
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(peer, name):
    peer.frame(HEADERS, END_STREAM | END_HEADERS, 1, plain(MALFORMED[name]))
    assert peer.failed(1, PROTOCOL_ERROR)
    assert peer.answer_of(1).status in (None, 400)
    if not peer.goaway:
        works(peer, 3)


@pytest.mark.parametrize("pieces", [[b"1234"], [b"12", b"3456"], [b""], [b"1", b"1", b"1"]])
def test_length_that_is_not_so(peer, pieces):
    peer.head(1, [("content-length", "5")], end=False, method="POST")
    for i, p in enumerate(pieces):
        peer.frame(DATA, END_STREAM if i == len(pieces) - 1 else 0, 1, p)
    assert peer.failed(1, PROTOCOL_ERROR)
    assert peer.answer_of(1).status in (None, 400)
    works(peer, 3)


def test_trailers_with_pseudo_headers(peer):
    peer.head(1, end=False, method="POST")
    peer.frame(HEADERS, END_STREAM | END_HEADERS, 1, plain([(":path", "/x")]))
    assert peer.failed(1, PROTOCOL_ERROR)


def test_trailers_that_do_not_end(peer):
    peer.head(1, end=False, method="POST")
    peer.frame(HEADERS, END_HEADERS, 1, plain([("x", "y")]))
    assert peer.failed(1, PROTOCOL_ERROR)


# ---- generic: what every server does

@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_methods(peer, method):
    a = peer.get(1, method=method)
    assert a.status == 200 and len(a.body) == (0 if method == "HEAD" else 20) and a.get("content-length") == "20"
    assert all(k == k.lower() for k, _ in a.headers) and not any(k in ("connection", "transfer-encoding") for k, _ in a.headers)


def test_trailers(peer):
    peer.head(1, [("trailer", "x")], end=False, method="POST")
    peer.frame(DATA, 0, 1, b"test")
    peer.frame(HEADERS, END_STREAM | END_HEADERS, 1, plain([("x", "y")]))
    assert peer.answer(1).status == 200


# ---- RFC 7541

BLOCKS = {
    "indexed, of the static table": b"\x82\x86\x84\x41\x0ctest.example",
    "literal with indexing": b"\x82\x86\x84\x41\x0ctest.example\x40\x01x\x01y",
    "literal without indexing": b"\x82\x86\x84\x41\x0ctest.example\x00\x01x\x01y",
    "never indexed": b"\x82\x86\x84\x41\x0ctest.example\x10\x01x\x01y",
    "table size first": b"\x20\x3f\xe1\x1f\x82\x86\x84\x41\x0ctest.example",
    "huffman": hpack.Encoder().encode(pseudo(), huffman=True),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks(peer, name):
    peer.frame(HEADERS, END_STREAM | END_HEADERS, 1, BLOCKS[name])
    assert peer.answer(1).status == 200


BAD_BLOCKS = {
    "index 0": GET + b"\x80",
    "index beyond the table": GET + b"\xff\x0a",
    "name index beyond the table": GET + b"\x7f\x40\x01y",
    "table size behind a line": GET + b"\x20",
    "table above what we allow": b"\x3f\xe2\x1f" + GET,
    "integer that overflows": GET + b"\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\x0f",
    "padding of more than 7 bits": GET + b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff",
    "padding of zeros": GET + b"\x00\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90",
    "EOS": GET + b"\x00\x85\xf2\xb2\x4a\x84\xff\x87\xff\xff\xff\xfa\x8d\x7f\xff",
}


@pytest.mark.parametrize("name", BAD_BLOCKS)
def test_bad_blocks(peer, name):
    peer.frame(HEADERS, END_STREAM | END_HEADERS, 1, BAD_BLOCKS[name])
    assert peer.gone(COMPRESSION_ERROR)
    assert peer.answer_of(1).status is None


def test_table_of_the_peer_that_shrinks(served):
    """Our encoder says so before it goes on."""
    with Peer(served.port, ours=[(1, 4096)]) as c:
        works(c, 1)
        c.frame(SETTINGS, 0, 0, settings((1, 0)))
        c.until(lambda: c.acks >= 2)
        c.decoder.max_allowed_table_size = 0
        works(c, 3)
        works(c, 5)
