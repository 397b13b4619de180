"""Pipelined requests are answered in order, each with its own answer."""
import threading
import time

from harness import Origin, assert_problem, chunked, config, make_request, reply


def test_in_order(gateway, origin):
    """The first takes longest at the origin."""
    def answer(r):
        if r.target == "/0":
            time.sleep(0.2)
        return reply(200, r.target.encode())
    o = origin(answer)
    g = gateway(config(o))
    with g.client() as c:
        c.send(b"".join(make_request("GET", "/%d" % i) for i in range(20)))
        assert [c.response().body for _ in range(20)] == [b"/%d" % i for i in range(20)]
    assert sorted(o.targets()) == sorted("/%d" % i for i in range(20))


def test_bodies_between(gateway, origin):
    o = origin(lambda r: reply(200, r.target.encode() + b":" + r.body))
    g = gateway(config(o))
    data, want = b"", []
    for i in range(30):
        body = b"b" * (i * 700)
        if i % 3 == 0:
            data += make_request("GET", "/%d" % i)
            body = b""
        elif i % 3 == 1:
            data += make_request("POST", "/%d" % i, body=body)
        else:
            data += make_request("PUT", "/%d" % i, headers=[("Transfer-Encoding", "chunked")], body=chunked(body[:100], body[100:]))
        want.append(b"/%d:" % i + body)
    with g.client() as c:
        t = threading.Thread(target=c.send, args=(data,))
        t.start()
        assert [c.response().body for _ in range(30)] == want
        t.join()


def test_long_bodies_between(gateway, origin):
    """The next request begins right behind a long body, in the same piece; the next answer right behind a long answer."""
    o = origin(lambda r: reply(200, r.body) if r.method == "PUT" else reply(200, r.target.encode()))
    g = gateway(config(o))
    bodies = [bytes([i]) * n for i, n in enumerate((262144, 1000000, 65536, 3000001, 262145))]
    data = b"".join(make_request("PUT", "/p", body=b) + make_request("GET", "/%d" % i) for i, b in enumerate(bodies))
    with g.client() as c:
        t = threading.Thread(target=c.send, args=(data,))
        t.start()
        for i, b in enumerate(bodies):
            assert c.response().body == b
            assert c.response().body == b"/%d" % i
        t.join()
    assert [len(q.body) for q in o.requests] == [n for b in bodies for n in (len(b), 0)]


def test_of_all_kinds(gateway, origin):
    """Answers of the gateway and of the origin, HEAD and 304 among them, stay in order."""
    def answer(r):
        if r.target == "/304":
            return reply(304, b"", [("ETag", '"x"')])
        return reply(200, r.target.encode()) if r.method != "HEAD" else reply(200, b"", [("Content-Length", "7")], length=False)
    o = origin(answer)
    g = gateway(config(o, routes="""
      { match = "GET /own"; respond = 204; }, { match = "GET /moved"; redirect = "/there"; },
      { match = "GET,HEAD /a"; to = "origin"; }, { match = "GET /304"; to = "origin"; }"""))
    kinds = [("GET", "/a", 200), ("GET", "/own", 204), ("HEAD", "/a", 200), ("GET", "/none", 404), ("DELETE", "/a", 405),
             ("GET", "/304", 304), ("GET", "/moved", None), ("GET", "/a", 200)]
    with g.client() as c:
        c.send(b"".join(make_request(m, t) for m, t, _ in kinds * 3))
        for m, t, status in kinds * 3:
            r = c.response(m)
            if status:
                assert r.status == status, (m, t, r)
            else:
                assert r.status in (301, 302, 303, 307, 308)
            if status == 200 and m == "GET":
                assert r.body == t.encode()


def test_nothing_after_close(gateway, origin):
    """What follows a request with Connection: close is not served."""
    o = origin()
    g = gateway(config(o))
    with g.client() as c:
        c.send(make_request("GET", "/a", [("Connection", "close")]) + make_request("POST", "/b", body=b"x"))
        assert c.response().body == b"GET /a"
        c.expect_end()
    assert o.targets() == ["/a"]


def test_many_in_small_pieces(gateway, origin):
    o = origin(lambda r: reply(200, r.target.encode()))
    g = gateway(config(o))
    data = b"".join(make_request("GET", "/%d" % i) for i in range(100))
    with g.client() as c:
        def send():
            for i in range(0, len(data), 37):
                c.send(data[i:i + 37])
        t = threading.Thread(target=send)
        t.start()
        assert [c.response().body for _ in range(100)] == [b"/%d" % i for i in range(100)]
        t.join()


def test_flood_is_bounded(gateway, origin):
    """A client that sends thousands of requests and reads slowly gets them all."""
    o = origin(lambda r: reply(200, b"x" * 500))
    g = gateway(config(o))
    n = 3000
    with g.client(rcvbuf=4096) as c:
        t = threading.Thread(target=c.send, args=(b"".join(make_request("GET", "/") for _ in range(n)),))
        t.start()
        time.sleep(0.3)
        for _ in range(n):
            assert c.response().body == b"x" * 500
        t.join()
        assert c.silent(0.05)


def test_half_close_after_the_last(gateway, origin):
    o = origin(lambda r: reply(200, r.target.encode()))
    g = gateway(config(o))
    with g.client() as c:
        c.send(b"".join(make_request("GET", "/%d" % i) for i in range(10)))
        c.half_close()
        assert [c.response().body for _ in range(10)] == [b"/%d" % i for i in range(10)]
        c.expect_end()
