"""Every ambiguity of framing that request smuggling uses is refused with 400 and close; nothing of it
reaches the origin (RFC 9112 §6, §11.2)."""
import pytest

from harness import Client, Gateway, Origin, assert_problem, chunked, config, reply, wait_for

HOST = b"Host: test.example\r\n"
EVIL = b"GET /smuggled HTTP/1.1\r\nHost: test.example\r\n\r\n"


@pytest.fixture(scope="module")
def world(shared):
    o = shared(Origin())
    g = shared(Gateway(config(o)))
    return g, o


@pytest.fixture
def gw(world):
    g, o = world
    o.forget()
    return g, o


def post(*lines, target=b"/x", method=b"POST", version=b"HTTP/1.1", host=HOST):
    return method + b" " + target + b" " + version + b"\r\n" + host + b"".join(s + b"\r\n" for s in lines) + b"\r\n"


def head(text):
    """A whole head as given."""
    return text


BODY = b"0\r\n\r\n" + EVIL

LENGTHS = {
    "cl_te": (post(b"Content-Length: 5", b"Transfer-Encoding: chunked"), "length_and_coding"),
    "te_cl": (post(b"Transfer-Encoding: chunked", b"Content-Length: 5"), "length_and_coding"),
    "cl_te_zero": (post(b"Content-Length: 0", b"Transfer-Encoding: chunked"), "length_and_coding"),
    "cl_te_get": (post(b"Content-Length: 5", b"Transfer-Encoding: chunked", method=b"GET"), "length_and_coding"),
    "cl_te_identity": (post(b"Content-Length: 5", b"Transfer-Encoding: identity"), None),
    "cl_twice_same": (post(b"Content-Length: 5", b"Content-Length: 5"), "bad_length"),
    "cl_twice_differ": (post(b"Content-Length: 5", b"Content-Length: 6"), "bad_length"),
    "cl_twice_apart": (post(b"Content-Length: 5", b"X-A: b", b"content-length: 0"), "bad_length"),
    "cl_list": (post(b"Content-Length: 5, 5"), "bad_length"),
    "cl_list_differ": (post(b"Content-Length: 5,6"), "bad_length"),
    "cl_plus": (post(b"Content-Length: +5"), "bad_length"),
    "cl_minus": (post(b"Content-Length: -5"), "bad_length"),
    "cl_hex": (post(b"Content-Length: 0x5"), "bad_length"),
    "cl_blank_inside": (post(b"Content-Length: 5 0"), "bad_length"),
    "cl_underscore": (post(b"Content-Length: 5_0"), "bad_length"),
    "cl_empty": (post(b"Content-Length:"), "bad_length"),
    "cl_empty_blank": (post(b"Content-Length:   "), "bad_length"),
    "cl_word": (post(b"Content-Length: five"), "bad_length"),
    "cl_dot": (post(b"Content-Length: 5.0"), "bad_length"),
    "cl_exponent": (post(b"Content-Length: 5e0"), "bad_length"),
    "cl_quotes": (post(b'Content-Length: "5"'), "bad_length"),
    "cl_semicolon": (post(b"Content-Length: 5;"), "bad_length"),
    "cl_overflow64": (post(b"Content-Length: 18446744073709551621"), "bad_length"),
    "cl_overflow": (post(b"Content-Length: 9999999999999999999999999999"), "bad_length"),
    "cl_fullwidth_digit": (post("Content-Length: \uff15".encode()), None),
    "cl_vertical_tab": (post(b"Content-Length: \x0b5"), None),
    "cl_form_feed": (post(b"Content-Length: 5\x0c"), None),
}

CODINGS = {
    "te_unknown": post(b"Transfer-Encoding: xchunked"),
    "te_gzip": post(b"Transfer-Encoding: gzip"),
    "te_gzip_chunked": post(b"Transfer-Encoding: gzip, chunked"),
    "te_chunked_gzip": post(b"Transfer-Encoding: chunked, gzip"),
    "te_identity": post(b"Transfer-Encoding: identity"),
    "te_chunked_identity": post(b"Transfer-Encoding: chunked, identity"),
    "te_identity_chunked": post(b"Transfer-Encoding: identity, chunked"),
    "te_chunked_chunked": post(b"Transfer-Encoding: chunked, chunked"),
    "te_twice": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "te_twice_differ": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: x"),
    "te_twice_differ_back": post(b"Transfer-Encoding: x", b"Transfer-Encoding: chunked"),
    "te_empty": post(b"Transfer-Encoding:"),
    "te_quotes": post(b'Transfer-Encoding: "chunked"'),
    "te_semicolon": post(b"Transfer-Encoding: chunked;q=1"),
    "te_comma_front": post(b"Transfer-Encoding: ,chunked"),
    "te_comma_end": post(b"Transfer-Encoding: chunked,"),
    "te_vertical_tab": post(b"Transfer-Encoding: \x0bchunked"),
    "te_form_feed": post(b"Transfer-Encoding: chunked\x0c"),
    "te_nbsp": post(b"Transfer-Encoding: \xa0chunked"),
    "te_nul": post(b"Transfer-Encoding: chunked\x00"),
    "te_cut": post(b"Transfer-Encoding: chunke"),
    "te_more": post(b"Transfer-Encoding: chunkedd"),
    "te_blank_inside": post(b"Transfer-Encoding: chun ked"),
    "te_http10": post(b"Transfer-Encoding: chunked", version=b"HTTP/1.0"),
}

LINES = {
    "space_before_colon": (post(b"Transfer-Encoding : chunked"), None),
    "tab_before_colon": (post(b"Content-Length\t: 5"), None),
    "space_before_colon_any": (post(b"X-A : b"), None),
    "space_before_host_colon": (post(host=b"Host : test.example\r\n"), None),
    "fold": (post(b"X-A: b", b" c"), "obs_fold"),
    "fold_tab": (post(b"X-A: b", b"\tc"), "obs_fold"),
    "fold_te": (post(b"Transfer-Encoding:", b" chunked"), None),
    "fold_first": (b"POST /x HTTP/1.1\r\n X-A: b\r\n" + HOST + b"\r\n", None),
    "fold_empty": (post(b"X-A: b", b" "), None),
    "no_colon": (post(b"X-A"), "bad_header"),
    "empty_name": (post(b": b"), "bad_header"),
    "name_blank": (post(b"X A: b"), "bad_header"),
    "name_paren": (post(b"X(A: b"), "bad_header"),
    "name_slash": (post(b"X/A: b"), "bad_header"),
    "name_quote": (post(b'"Content-Length": 5'), "bad_header"),
    "name_high": (post(b"X\xe9: b"), "bad_header"),
    "name_nul": (post(b"X\x00: b"), None),
    "name_cr": (post(b"X\r: b"), None),
    "name_vt": (post(b"\x0bTransfer-Encoding: chunked"), None),
    "value_nul": (post(b"X-A: b\x00c"), None),
    "value_cr": (post(b"X-A: b\rc"), None),
    "value_cr_te": (post(b"X-A: b\rTransfer-Encoding: chunked"), None),
    "value_lf": (post(b"X-A: b\nTransfer-Encoding: chunked"), None),
    "value_control": (post(b"X-A: b\x01c"), None),
    "value_del": (post(b"X-A: b\x7fc"), None),
    "cr_cr_lf": (post(b"X-A: b\r"), None),
    "lf_only_head": (b"POST /x HTTP/1.1\nHost: test.example\nContent-Length: 5\n\n", None),
    "lf_request_line": (b"POST /x HTTP/1.1\n" + HOST + b"\r\n", None),
    "lf_empty_line": (b"POST /x HTTP/1.1\r\n" + HOST + b"\n", None),
    "cr_only": (b"POST /x HTTP/1.1\rHost: test.example\r\r", None),
    "cr_empty_line": (b"POST /x HTTP/1.1\r\n" + HOST + b"\r\rX", None),
    "lf_before": (b"\nPOST /x HTTP/1.1\r\n" + HOST + b"\r\n", None),
    "cr_before": (b"\rPOST /x HTTP/1.1\r\n" + HOST + b"\r\n", None),
    "nul_before": (b"\x00POST /x HTTP/1.1\r\n" + HOST + b"\r\n", None),
    "blank_before": (b" POST /x HTTP/1.1\r\n" + HOST + b"\r\n", None),
}

STARTS = {
    "method_char": b"G@T /x HTTP/1.1\r\n",
    "method_paren": b"GET( /x HTTP/1.1\r\n",
    "method_colon": b"GET: /x HTTP/1.1\r\n",
    "method_nul": b"GE\x00T /x HTTP/1.1\r\n",
    "method_high": b"G\xc9T /x HTTP/1.1\r\n",
    "two_blanks": b"GET  /x HTTP/1.1\r\n",
    "two_blanks_version": b"GET /x  HTTP/1.1\r\n",
    "tab": b"GET\t/x HTTP/1.1\r\n",
    "tab_version": b"GET /x\tHTTP/1.1\r\n",
    "blank_after": b"GET /x HTTP/1.1 \r\n",
    "words_four": b"GET /x /y HTTP/1.1\r\n",
    "no_target": b"GET HTTP/1.1\r\n",
    "only_method": b"GET\r\n",
    "target_relative": b"GET x HTTP/1.1\r\n",
    "target_query": b"GET ?x HTTP/1.1\r\n",
    "target_star": b"GET * HTTP/1.1\r\n",
    "target_fragment": b"GET /x#y HTTP/1.1\r\n",
    "target_nul": b"GET /x\x00y HTTP/1.1\r\n",
    "target_control": b"GET /x\x01y HTTP/1.1\r\n",
    "target_del": b"GET /x\x7fy HTTP/1.1\r\n",
    "target_high": b"GET /\xe9 HTTP/1.1\r\n",
    "target_cr": b"GET /x\ry HTTP/1.1\r\n",
    "target_percent": b"GET /x%zz HTTP/1.1\r\n",
    "target_percent_end": b"GET /x% HTTP/1.1\r\n",
    "target_percent_cut": b"GET /x%4 HTTP/1.1\r\n",
    "target_scheme": b"GET ftp://test.example/ HTTP/1.1\r\n",
    "target_scheme_only": b"GET http:// HTTP/1.1\r\n",
    "target_no_authority": b"GET http:///x HTTP/1.1\r\n",
    "target_userinfo": b"GET http://u@test.example/ HTTP/1.1\r\n",
    "target_mismatch": b"GET http://other.example/ HTTP/1.1\r\n",
    "target_mismatch_port": b"GET http://test.example:81/ HTTP/1.1\r\n",
    "version_0_9": b"GET /x HTTP/0.9\r\n",
    "version_none": b"GET /x\r\n",
    "version_lower": b"GET /x http/1.1\r\n",
    "version_short": b"GET /x HTTP/1\r\n",
    "version_long": b"GET /x HTTP/1.10\r\n",
    "version_digits": b"GET /x HTTP/11\r\n",
    "version_word": b"GET /x HTTP/1.x\r\n",
    "version_junk": b"GET /x HTTP/1.1x\r\n",
    "version_2": b"GET /x HTTP/2.0\r\n",
    "version_other": b"GET /x HTTQ/1.1\r\n",
    "version_comma": b"GET /x HTTP/1,1\r\n",
    "version_blank": b"GET /x HTTP/1. 1\r\n",
}

HOSTS = {
    "missing": b"",
    "twice": b"Host: test.example\r\nHost: test.example\r\n",
    "twice_differ": b"Host: test.example\r\nHost: other.example\r\n",
    "twice_case": b"Host: test.example\r\nhOsT: other.example\r\n",
    "blank": b"Host: test example\r\n",
    "list": b"Host: test.example, other.example\r\n",
    "slash": b"Host: test.example/x\r\n",
    "userinfo": b"Host: user@test.example\r\n",
    "two_ports": b"Host: test.example:80:80\r\n",
    "port_word": b"Host: test.example:http\r\n",
    "port_large": b"Host: test.example:99999\r\n",
    "bracket": b"Host: [::1\r\n",
    "bracket_word": b"Host: [test]\r\n",
    "query": b"Host: test.example?x\r\n",
    "hash": b"Host: test.example#x\r\n",
    "backslash": b"Host: test\\example\r\n",
    "angle": b"Host: <test>\r\n",
    "nul": b"Host: test\x00example\r\n",
    "high": b"Host: t\xe9st.example\r\n",
    "percent": b"Host: test%zzexample\r\n",
    "at_end": b"X-A: b\r\nHost: a\r\nHost: b\r\n",
}


def refused(gw, data, reason=None, status=(400,)):
    """The answer is 400 (or what is given), the connection ends, and the origin has seen no byte of it."""
    g, o = gw
    with g.client() as c:
        c.send(data)
        r = c.response()
        assert_problem(r, status, reason)
        assert r.closes, r
        c.expect_end()
    r = g.get("/canary")
    assert r.status == 200 and r.body == b"GET /canary"
    assert [(q.method, q.target) for q in o.heads] == [("GET", "/canary")]
    assert b"smuggled" not in o.raw() and b"/x" not in o.raw()


@pytest.mark.parametrize("case", LENGTHS)
def test_length(gw, case):
    data, reason = LENGTHS[case]
    refused(gw, data + BODY, reason)


@pytest.mark.parametrize("case", CODINGS)
def test_coding(gw, case):
    # A coding that is well-formed and unknown may be 501 (RFC 9112 §6.1).
    refused(gw, CODINGS[case] + BODY, None, (400, 501))


@pytest.mark.parametrize("case", LINES)
def test_line(gw, case):
    data, reason = LINES[case]
    refused(gw, data + BODY, reason)


@pytest.mark.parametrize("case", STARTS)
def test_start_line(gw, case):
    refused(gw, STARTS[case] + HOST + b"\r\n" + EVIL, None, (400, 505) if case.startswith("version") else (400,))


@pytest.mark.parametrize("case", HOSTS)
def test_host(gw, case):
    refused(gw, b"GET /x HTTP/1.1\r\n" + HOSTS[case] + b"\r\n" + EVIL, None)


def test_host_must_be_one_reason(gw):
    refused(gw, b"GET /x HTTP/1.1\r\n\r\n" + EVIL, "bad_host")
    gw[1].forget()
    refused(gw, b"GET http://other.example/x HTTP/1.1\r\n" + HOST + b"\r\n" + EVIL, "host_mismatch")


# ---- chunked bodies

CHUNKS = {
    "size_plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "size_minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "size_0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "size_empty": b"\r\nhello\r\n0\r\n\r\n",
    "size_word": b"g\r\nhello\r\n0\r\n\r\n",
    "size_blank_before": b" 5\r\nhello\r\n0\r\n\r\n",
    "size_blank_inside": b"5 5\r\nhello\r\n0\r\n\r\n",
    "size_underscore": b"5_\r\nhello\r\n0\r\n\r\n",
    "size_nul": b"5\x00\r\nhello\r\n0\r\n\r\n",
    "size_overflow": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "size_overflow_f": b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
    "size_comma": b"5,5\r\nhello\r\n0\r\n\r\n",
    "size_lf": b"5\nhello\r\n0\r\n\r\n",
    "size_cr": b"5\rhello\r\n0\r\n\r\n",
    "size_cr_cr_lf": b"5\r\r\nhello\r\n0\r\n\r\n",
    "data_long": b"5\r\nhelloo\r\n0\r\n\r\n",
    "data_no_crlf": b"5\r\nhello0\r\n\r\n",
    "data_lf": b"5\r\nhello\n0\r\n\r\n",
    "data_cr": b"5\r\nhello\r0\r\n\r\n",
    "data_blank": b"5\r\nhello \r\n0\r\n\r\n",
    "ext_nul": b"5;a=\x00\r\nhello\r\n0\r\n\r\n",
    "ext_lf": b"5;a=b\nhello\r\n0\r\n\r\n",
    "ext_cr": b"5;a=b\rc\r\nhello\r\n0\r\n\r\n",
    "ext_control": b"5;a=\x01\r\nhello\r\n0\r\n\r\n",
    "ext_long": b"5;" + b"a" * 100000 + b"\r\nhello\r\n0\r\n\r\n",
    "last_lf": b"5\r\nhello\r\n0\n\n",
    "last_end_lf": b"5\r\nhello\r\n0\r\n\n",
    "last_end_junk": b"5\r\nhello\r\n0\r\njunk\r\n\r\n",
    "last_end_cr": b"5\r\nhello\r\n0\r\n\rX",
    "trailer_blank": b"5\r\nhello\r\n0\r\nX-A : b\r\n\r\n",
    "trailer_fold": b"5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n",
    "trailer_lf": b"5\r\nhello\r\n0\r\nX-A: b\n\r\n",
    "trailer_nul": b"5\r\nhello\r\n0\r\nX-A: \x00\r\n\r\n",
}


@pytest.mark.parametrize("case", CHUNKS)
@pytest.mark.parametrize("apart", ["together", "apart"])
def test_chunk(gw, case, apart):
    """The head was good, so the origin may have seen it; the body is never completed, and what follows is no request."""
    g, o = gw
    with g.client() as c:
        first = post(b"Transfer-Encoding: chunked", target=b"/chunk")
        if apart == "apart":
            c.send(first)
            wait_for(lambda: o.heads, "the head at the origin")
            c.send(CHUNKS[case] + EVIL)
        else:
            c.send(first + CHUNKS[case] + EVIL)
        r = c.response()
        assert_problem(r, 400)
        assert r.closes, r
        c.expect_end()
    r = g.get("/canary")
    assert r.status == 200
    assert [q.target for q in o.requests] == ["/canary"], "the origin took the broken request as a whole one"
    assert b"smuggled" not in o.raw()
    for q in o.heads:
        if q.target == "/chunk":
            wait_for(q.conn.ended.is_set, "the end of the origin connection of the broken request")


def test_chunk_reason(gw):
    g, o = gw
    r, rest = g.raw(post(b"Transfer-Encoding: chunked") + b"zz\r\n")
    assert_problem(r, 400, "bad_chunk")
    assert rest == b""


def test_good_chunks_are_put_anew(gw):
    """What is valid but odd (leading zeros, extensions, upper case) arrives as plain chunks."""
    g, o = gw
    body = b'0000A;a=b;c="d"\r\n0123456789\r\n5;x\r\nhello\r\n000\r\n\r\n'
    with g.client() as c:
        c.send(post(b"Transfer-Encoding: chunked"), body, b"GET /next HTTP/1.1\r\n", HOST, b"\r\n")
        assert c.response().status == 200
        r = c.response()
        assert r.body == b"GET /next"
    assert [q.body for q in o.requests] == [b"0123456789hello", b""]
    assert b";" not in o.raw(), "chunk extensions are for one hop"


def test_body_is_no_request(gw):
    """A body that looks like a request is a body, byte by byte or at once, and the next request is the next."""
    g, o = gw
    with g.client() as c:
        c.send(post(b"Content-Length: %d" % len(EVIL)), EVIL, b"GET /after HTTP/1.1\r\n", HOST, b"\r\n")
        assert c.response().body == b"POST /x"
        assert c.response().body == b"GET /after"
        c.send(post(b"Transfer-Encoding: chunked"), chunked(EVIL, EVIL), b"GET /after HTTP/1.1\r\n", HOST, b"\r\n")
        assert c.response().body == b"POST /x"
        assert c.response().body == b"GET /after"
    assert [(q.target, q.body) for q in o.requests] == [("/x", EVIL), ("/after", b""), ("/x", EVIL + EVIL), ("/after", b"")]


def test_get_with_body(gw):
    """A length frames a body whatever the method."""
    g, o = gw
    with g.client() as c:
        c.send(post(b"Content-Length: %d" % len(EVIL), method=b"GET"), EVIL)
        assert c.response().status == 200
        c.send(post(b"Transfer-Encoding: chunked", method=b"DELETE"), chunked(EVIL))
        assert c.response().status == 200
    assert [(q.method, q.target, q.body) for q in o.requests] == [("GET", "/x", EVIL), ("DELETE", "/x", EVIL)]


def test_byte_by_byte(gw):
    g, o = gw
    with g.client() as c:
        for b in post(b"Transfer-Encoding: chunked") + b"5;a=b\r\nhello\r\n0\r\nX-T: u\r\n\r\n":
            c.send(bytes([b]))
        assert c.response().status == 200
    assert o.requests[0].body == b"hello"


def test_refused_byte_by_byte(gw):
    g, o = gw
    with g.client() as c:
        try:
            for b in post(b"Content-Length: 5", b"Transfer-Encoding: chunked"):
                c.send(bytes([b]))
        except ConnectionError:
            pass
        assert_problem(c.response(), 400, "length_and_coding")
        c.expect_end()
    assert not o.heads


def test_one_empty_line_before(gw):
    g, o = gw
    with g.client() as c:
        c.send(b"\r\nGET /a HTTP/1.1\r\n" + HOST + b"\r\n")
        assert c.response().body == b"GET /a"
        c.send(b"\r\nGET /b HTTP/1.1\r\n" + HOST + b"\r\n")
        assert c.response().body == b"GET /b"


def test_absolute_form(gw):
    g, o = gw
    with g.client() as c:
        c.send(b"GET http://test.example/a?b=c HTTP/1.1\r\nHost: test.example\r\n\r\n")
        assert c.response().body == b"GET /a?b=c"
        c.send(b"GET HTTP://TEST.example HTTP/1.1\r\nHost: test.example\r\n\r\n")
        assert c.response().body == b"GET /"
    assert all(q.get("host").lower() == "test.example" for q in o.requests)


def test_options_star(gw):
    """OPTIONS * is valid; whatever is made of it, it is an answer and the connection goes on."""
    g, o = gw
    with g.client() as c:
        c.send(b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n")
        assert c.response().status in (200, 204, 404, 405)
        c.send(b"GET /a HTTP/1.1\r\n" + HOST + b"\r\n")
        assert c.response().body == b"GET /a"


@pytest.mark.parametrize("target", [b"test.example:443", b"test.example:80", b"127.0.0.1:22"])
def test_connect_is_no_open_proxy(gw, target):
    g, o = gw
    r, rest = g.raw(b"CONNECT " + target + b" HTTP/1.1\r\nHost: " + target + b"\r\nConnection: close\r\n\r\n")
    assert r.status >= 400, r
    assert not o.heads


def test_h2_preface(gw):
    g, o = gw
    with g.client() as c:
        c.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        r = c.response()
        assert r.status in (400, 505)
        c.expect_end()
    assert not o.heads


def test_tls_hello(gw):
    g, o = gw
    with g.client() as c:
        c.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2)
        c.half_close()
        got = c.at_end()
        assert got == b"" or got.startswith(b"HTTP/1.1 400 ")
    assert not o.heads


def test_answer_survives_what_follows(gw):
    """The refused client still sends: its kernel must not throw the answer away (RFC 9112 §9.6)."""
    g, o = gw
    for _ in range(5):
        with g.client() as c:
            c.send(post(b"Content-Length: 5", b"Content-Length: 6") + b"x" * 300000)
            r = c.response()
            assert_problem(r, 400, "bad_length")
            c.half_close()
            c.expect_end()


def test_earlier_answers_come_first(gw):
    """A good request before the bad one is answered, then the bad one, then the end."""
    g, o = gw
    with g.client() as c:
        c.send(b"GET /a HTTP/1.1\r\n" + HOST + b"\r\n" + post(b"Content-Length: 1", b"Transfer-Encoding: chunked") + EVIL)
        assert c.response().body == b"GET /a"
        assert_problem(c.response(), 400, "length_and_coding")
        c.expect_end()
    assert o.targets() == ["/a"]


def test_origin_connection_in_step(gw):
    """After all sorts of bodies on one origin connection each answer is of its own request."""
    g, o = gw
    with g.client() as c:
        for i in range(50):
            kind = i % 5
            if kind == 0:
                c.send(b"GET /%d HTTP/1.1\r\n" % i, HOST, b"\r\n")
            elif kind == 1:
                c.send(post(b"Content-Length: 3", target=b"/%d" % i), b"abc")
            elif kind == 2:
                c.send(post(b"Transfer-Encoding: chunked", target=b"/%d" % i), chunked(b"abc", b"def"))
            elif kind == 3:
                c.send(post(b"Content-Length: 0", target=b"/%d" % i))
            else:
                c.send(post(b"Transfer-Encoding: chunked", target=b"/%d" % i), chunked())
            r = c.response()
            assert r.status == 200 and r.body.endswith(b" /%d" % i)
    assert o.targets() == ["/%d" % i for i in range(50)]
