"""access-log: one line for every request, also for those refused; JSON, combined, fields, templates; USR1."""
import json
import os
import re
import signal
import threading

import pytest

from harness import Origin, Truncated, config, make_request, reply, wait_for


def make(start, origin, options="", answer=None, **kw):
    o = origin(answer) if answer else origin()
    g = start(config(o, gateway=kw.pop("gateway", "") + ' policies = ( { type = "access-log"; path = "@DIR@/access.log"; %s } );' % options, **kw))
    return g, o


def lines(g, n, name="access.log"):
    """The first n lines; there are no more."""
    def read():
        try:
            with open(g.path(name), errors="surrogateescape") as f:
                text = f.read()
        except FileNotFoundError:
            return None
        got = text.split("\n")[:-1]
        assert len(got) <= n, got
        return got if len(got) == n else None
    return wait_for(read, "%d lines in the access log" % n)


def entries(g, n, name="access.log"):
    return [json.loads(s) for s in lines(g, n, name)]


def test_json(gateway, origin):
    g, o = make(gateway, origin)
    g.ask("POST", "/a/b?c=d", headers=[("User-Agent", "test/1 \"q\""), ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")],
          body=b"hello", host="Api.example.com:8080")
    e = entries(g, 1)[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", e["@timestamp"])
    assert e["http.request.method"] == "POST" and e["url.path"] == "/a/b" and e["url.query"] == "c=d" and e["url.domain"] == "api.example.com"
    assert e["http.response.status_code"] == 200 and e["http.request.body.bytes"] == 5 and e["http.response.body.bytes"] == len("POST /a/b?c=d")
    assert e["http.version"] == "1.1" and e["client.address"] == "127.0.0.1" and e["user_agent.original"] == 'test/1 "q"'
    assert e["trace.id"] == "4bf92f3577b34da6a3ce929d0e0e4736" and len(e["http.request.id"]) == 32
    assert 0 < e["event.duration"] < 60e9
    assert e["postern.listener"] == "main" and e["postern.service"] == "all" and e["postern.route"] == "1" and e["postern.upstream"] == "origin"
    assert e["postern.target"] == "127.0.0.1:%d" % o.port
    assert e["postern.revision"] == 1


def test_every_request_has_one_line(gateway, origin):
    g, o = make(gateway, origin, workers=2)
    with g.client() as c:
        for i in range(50):
            c.get("/%d" % i)
    got = entries(g, 50)
    assert [e["url.path"] for e in got] == ["/%d" % i for i in range(50)]


REFUSED = {
    "bad_header": (b"GET /x HTTP/1.1\r\nHost: a\r\nX A: b\r\n\r\n", 400), "length_and_coding": (b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "bad_host": (b"GET /x HTTP/1.1\r\n\r\n", 400), "head_too_large": (b"GET /x HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 9000 + b"\r\n\r\n", 431),
    "target_too_long": (b"GET /" + b"x" * 3000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414), "body_too_large": (b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n", 413),
    "bad_target": (b"GET /../x HTTP/1.1\r\nHost: a\r\n\r\n", 400), "bad_expect": (b"POST /x HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: 1\r\n\r\n", 417),
    "no_route": (b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n", 404), "method_not_allowed": (b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 405),
    "connect_refused": (b"GET /down HTTP/1.1\r\nHost: a\r\n\r\n", 502), "head_timeout": (b"GET /x HTT", 408), "bad_line_end": (b"\x16\x03\x01\x00\x01\r\n\r\n", 400),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_refused_are_logged(gateway, origin, reason):
    from harness import free_port
    g, o = make(gateway, origin, gateway='limits: { head = "8KiB"; target = "2KiB"; body = "10KiB"; }; timeouts: { head = "500ms"; };',
                upstreams='down: { targets = [ "http://127.0.0.1:%d" ]; };' % free_port(),
                routes='{ match = "GET,POST /x"; to = "origin"; }, { match = "GET /a"; to = "origin"; }, { match = "GET /down"; to = "down"; }')
    data, status = REFUSED[reason]
    with g.client() as c:
        c.send(data)
        assert c.response().status == status
    e = entries(g, 1)[0]
    assert e["http.response.status_code"] == status
    assert e["postern.reason"] == reason or reason == "bad_line_end", e
    assert e["client.address"] == "127.0.0.1"


def test_no_service_is_logged(gateway, origin):
    g, o = make(gateway, origin, domains=["only.example"])
    assert g.get("/").status == 404
    e = entries(g, 1)[0]
    assert e["postern.reason"] == "no_service" and e["url.domain"] == "test.example"


def test_those_who_left_are_logged(gateway, origin):
    go = threading.Event()

    def answer(r):
        go.wait(30)
        return reply()
    g, o = make(gateway, origin, answer=answer)
    with g.client() as c:
        c.request("GET", "/left")
        wait_for(lambda: o.heads, "the request at the origin")
        c.reset()
    e = entries(g, 1)[0]
    go.set()
    assert e["url.path"] == "/left" and e["postern.reason"] == "client_gone"


def test_truncated_are_logged(gateway, origin):
    g, o = make(gateway, origin, answer=lambda r: (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", 1))
    with g.client() as c:
        with pytest.raises((Truncated, ConnectionError, AssertionError)):
            r = c.get("/")
            assert r.status == 200
    e = entries(g, 1)[0]
    assert e["postern.reason"] in ("response_incomplete", "upstream_closed")


def test_combined(gateway, origin):
    g, o = make(gateway, origin, 'format = "combined";')
    g.get("/a?b=c", headers=[("User-Agent", "agent/1"), ("Referer", "http://r.example/")])
    line = lines(g, 1)[0]
    assert re.fullmatch(r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET /a\?b=c HTTP/1\.1" 200 10 "http://r\.example/" "agent/1"', line), line


def test_combined_without_headers(gateway, origin):
    g, o = make(gateway, origin, 'format = "combined";')
    g.get("/")
    assert lines(g, 1)[0].endswith('"GET / HTTP/1.1" 200 5 "-" "-"')


def test_fields(gateway, origin):
    g, o = make(gateway, origin, 'fields: { method = "{method}"; status = "{status}"; who = "{client.ip}:{header.x-a}"; };')
    g.get("/", headers=[("X-A", 'q"\\')])
    e = entries(g, 1)[0]
    assert list(e)[-3:] == ["method", "status", "who"]
    assert e["method"] == "GET" and e["status"] == 200 and e["who"] == '127.0.0.1:q"\\'


def test_template(gateway, origin):
    g, o = make(gateway, origin, 'format = "{method} {path} {status} {bytes.out} {reason}.";')
    g.get("/a")
    assert lines(g, 1)[0] == "GET /a 200 6 ." or lines(g, 1)[0] == "GET /a 200 6 -."


@pytest.mark.parametrize("options", ["", 'format = "combined";', 'format = "{path} {header.user-agent}";'])
def test_lines_cannot_be_forged(gateway, origin, options):
    """Neither line ends nor quotes of a request begin another line or another member."""
    g, o = make(gateway, origin, options)
    g.get('/x"%0a%22%0d?a="},{', headers=[("User-Agent", 'a" 200 0 "-" "\xe9\\","x":"y'), ("Referer", '"\\')])
    g.get("/second")
    got = lines(g, 2)
    assert "/second" in got[1]
    if not options:
        e = json.loads(got[0])
        assert "x" not in e


def test_credentials_are_masked(gateway, origin):
    g, o = make(gateway, origin, 'redact = [ "token" ];')
    g.get("/?a=b&token=secret1&c=d&access_token=secret2")
    text = lines(g, 1)[0]
    assert "secret1" not in text and "a=b" in text and "c=d" in text


def test_reopen(gateway, origin):
    """After a rename and USR1, lines go to a new file; none is lost."""
    g, o = make(gateway, origin, workers=2)
    g.get("/1")
    lines(g, 1)
    os.rename(g.path("access.log"), g.path("access.log.1"))
    g.get("/2")
    g.signal(signal.SIGUSR1)
    wait_for(lambda: os.path.exists(g.path("access.log")), "a new access log")
    g.get("/3")
    # /2 was before the signal and may be in either.

    def all_there():
        got = []
        for name in ("access.log.1", "access.log"):
            with open(g.path(name)) as f:
                got.append([json.loads(s)["url.path"] for s in f])
        return got if sum(map(len, got)) == 3 else None
    old, new = wait_for(all_there, "three lines in two files")
    assert old[0] == "/1" and new[-1] == "/3"


def test_survives_reload_and_stop(gateway, origin):
    """Lines are neither lost nor doubled by reloads and a stop."""
    g, o = make(gateway, origin, workers=2)
    n = 0
    for _ in range(5):
        for _ in range(20):
            g.get("/%d" % n)
            n += 1
        g.reload()
    assert g.stop() == 0
    g.expect_exit = True
    got = entries(g, n)
    assert sorted(int(e["url.path"][1:]) for e in got) == list(range(n))
    assert got[-1]["postern.revision"] > got[0]["postern.revision"]


def test_under_load(gateway, origin):
    """Every line whole, from two workers into one file."""
    g, o = make(gateway, origin, workers=2)

    def load(n):
        with g.client() as c:
            for i in range(300):
                assert c.get("/%d/%d" % (n, i), headers=[("User-Agent", "x" * 300)]).status == 200
    threads = [threading.Thread(target=load, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    got = entries(g, 1200)
    assert len({e["url.path"] for e in got}) == 1200


def test_log_that_cannot_be_written(gateway, origin):
    """A full disk costs lines, never requests."""
    o = origin()
    g = gateway(config(o, gateway='policies = ( { type = "access-log"; path = "/dev/full"; } );'))
    with g.client() as c:
        for i in range(500):
            assert c.get("/%d" % i).status == 200


def test_stdout(gateway, origin):
    o = origin()
    g = gateway(config(o, gateway='policies = ( { type = "access-log"; path = "stdout"; } );'))
    g.get("/a")
    # The one line that says it serves comes first.
    said, line = lines(g, 2, "stdout")
    assert said.startswith("postern ") and json.loads(line)["url.path"] == "/a"


def test_interim_and_tunnel(gateway, origin):
    """A tunnel has its line when it ends."""
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n")
        conn.at_end()
    o = origin(script=script)
    g = gateway(config(o, gateway='policies = ( { type = "access-log"; path = "@DIR@/access.log"; } );'))
    with g.client() as c:
        assert c.ask("GET", "/t", headers=[("Connection", "upgrade"), ("Upgrade", "foo")]).status == 101
        c.send(b"hello")
    e = entries(g, 1)[0]
    assert e["url.path"] == "/t" and e["http.response.status_code"] == 101
