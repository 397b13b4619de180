"""size-limit: bodies (413), queries (414) and header lines (431) of a service."""
from harness import Origin, assert_problem, chunked, config, make_request, wait_for


def make(start, origin, options, **kw):
    o = origin()
    return start(config(o, policies='p: { type = "size-limit"; %s };' % options, service='policies = [ "p" ];', **kw)), o


def test_body(gateway, origin):
    g, o = make(gateway, origin, 'max = "1KiB";')
    assert g.ask("POST", "/", body=b"x" * 1024).status == 200
    with g.client() as c:
        c.send(make_request("POST", "/", [("Content-Length", "1025")]) + b"x" * 1025)
        assert_problem(c.response(), 413, "body_too_large")
    assert len(o.requests) == 1 and len(o.heads) == 1


def test_chunked_body(gateway, origin):
    g, o = make(gateway, origin, 'max = "1KiB";')
    with g.client() as c:
        c.send(make_request("POST", "/", [("Transfer-Encoding", "chunked")], chunked(b"x" * 1000, b"y" * 24)))
        assert c.response().status == 200
        c.send(make_request("POST", "/", [("Transfer-Encoding", "chunked")], chunked(b"x" * 1000, b"y" * 25)))
        r = c.response()
        assert_problem(r, 413, "body_too_large")
        assert r.closes
    assert len(o.requests) == 1
    for q in o.heads[1:]:
        wait_for(q.conn.ended.is_set, "the end of the origin connection")


def test_cannot_raise(gateway, origin):
    g, o = make(gateway, origin, 'max = "1MiB";', gateway='limits: { body = "1KiB"; };')
    with g.client() as c:
        c.send(make_request("POST", "/", [("Content-Length", "1025")]) + b"x" * 1025)
        assert_problem(c.response(), 413, "body_too_large")


def test_query(gateway, origin):
    g, o = make(gateway, origin, 'query = "10B";')
    assert g.get("/?123456789a").status == 200
    assert_problem(g.get("/?123456789ab"), 414, "target_too_long")
    assert len(o.heads) == 1


def test_headers(gateway, origin):
    g, o = make(gateway, origin, 'headers = "500B";')
    assert g.get("/").status == 200
    assert_problem(g.get("/", headers=[("X-A", "y" * 500)]), 431, "head_too_large")
    assert len(o.heads) == 1


def test_of_one_route(gateway, origin):
    o = origin()
    g = gateway(config(o, routes="""{ match = "POST /a"; to = "origin"; policies = ( { type = "size-limit"; max = "10B"; } ); }, { match = "* /*"; to = "origin"; }"""))
    assert_problem(g.ask("POST", "/a", body=b"x" * 11), 413, "body_too_large")
    assert g.ask("POST", "/b", body=b"x" * 11).status == 200
