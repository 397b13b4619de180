"""Paths are normalised once, and what is matched is what is forwarded (RFC 3986 §6.2.2, §5.2.4)."""
import pytest

from harness import Gateway, Origin, assert_problem, config, reply

ROUTES = """
  { name = "admin"; match = "* /admin"; respond = 403; },
  { name = "admin-below"; match = "* /admin/*"; respond = 403; },
  { name = "item"; match = "* /item/{id}"; to = "origin"; rewrite = "/got/{id}"; },
  { match = "* /*"; to = "origin"; }
"""


@pytest.fixture(scope="module")
def world(shared):
    o = shared(Origin())
    gateways = {}

    def get(**options):
        key = tuple(sorted(options.items()))
        if key not in gateways:
            text = "".join('%s = %s;' % kv for kv in options.items())
            gateways[key] = shared(Gateway(config(o, routes=ROUTES, gateway=text)))
        o.forget()
        return gateways[key], o
    return get


def forwarded(world, target, **options):
    g, o = world(**options)
    with g.client() as c:
        c.send(b"GET " + (target if isinstance(target, bytes) else target.encode()) + b" HTTP/1.1\r\nHost: test.example\r\n\r\n")
        r = c.response()
    if r.status != 200:
        assert not o.heads
        return r
    return o.requests[-1].target


SAME = ["/", "/a", "/a/", "/a/b.c", "/a/...", "/a/..b", "/.a", "/a/.b/c", "/~a", "/a-b_c.d~", "/a:b@c!$&'()*+,;=", "/%20", "/a%3Fb", "/%25",
        "/%2561", "/a%5Cb", "/a;x=y/b", "/a/..;/b", "/a?x=../b", "/a?x=%61%2f%00", "/a?", "/a??b", "/a?/../b", "/?a", "/%C3%A9", "/a%0A", "/%E2%82%AC"]


@pytest.mark.parametrize("target", SAME)
def test_stays(world, target):
    assert forwarded(world, target) == target


CHANGED = {
    "/./a": "/a", "/a/./b": "/a/b", "/a/.": "/a/", "/a/b/..": "/a/", "/a/b/../": "/a/", "/a/../b": "/b", "/a/b/../../c": "/c", "/a/..": "/",
    "/.": "/", "/a/./././b": "/a/b", "/a/b/c/./../../g": "/a/g", "/%61": "/a", "/%41%5a": "/AZ", "/%2d%2e%5f%7e": "/-._~", "/a%2eb": "/a.b",
    "/a/%2e%2e/b": "/b", "/a/.%2e/b": "/b", "/a/%2E./b": "/b", "/a/%2e/b": "/a/b", "/%c3%a9": "/%C3%A9", "/a%3f": "/a%3F", "/%7e%61?%7e%61": "/~a?%7e%61",
    "/a/b/%2e%2e?x=y": "/a/?x=y",
}


@pytest.mark.parametrize("target", CHANGED)
def test_normalised(world, target):
    assert forwarded(world, target) == CHANGED[target]


@pytest.mark.parametrize("target", ["/..", "/../", "/../a", "/a/../..", "/a/../../b", "/%2e%2e/a", "/.%2e", "/a/%2e%2e/%2e%2e/b", "/./../a", "/a/b/../../../c"])
def test_above_root(world, target):
    """Refused, not clamped."""
    assert_problem(forwarded(world, target), 400, "bad_target")


@pytest.mark.parametrize("target", ["/%00", "/a%00b", "/a/%00/../b", "/admin%00", "/a%00.html"])
def test_nul(world, target):
    assert_problem(forwarded(world, target), 400, "bad_target")


@pytest.mark.parametrize("target", ["/%", "/a%", "/%4", "/%4g", "/%g4", "/% 41", "/%%41", "/%u0041"])
def test_bad_escape(world, target):
    assert_problem(forwarded(world, target), 400)


@pytest.mark.parametrize("target", ["/a\\b", "/a\\..\\b", "/\\admin"])
def test_backslash(world, target):
    """No URI has one: refused, or escaped, but never a slash."""
    got = forwarded(world, target)
    if isinstance(got, str):
        assert "\\" not in got and got.count("/") == target.count("/")
    else:
        assert got.status == 400


@pytest.mark.parametrize("target", ["/a%2Fb", "/a%2fb", "/%2F", "/a/%2f../b"])
def test_encoded_slash_keep(world, target):
    got = forwarded(world, target, encoded_slash='"keep"')
    assert got == target.replace("%2f", "%2F"), got


@pytest.mark.parametrize("target", ["/a%2Fb", "/a%2fb", "/%2F", "/%2f"])
def test_encoded_slash_reject(world, target):
    assert_problem(forwarded(world, target, encoded_slash='"reject"'), 400, "encoded_slash")


@pytest.mark.parametrize("target,want", [("/a%2Fb", "/a/b"), ("/a%2fb", "/a/b"), ("/a/b%2f..%2fc", "/a/c"), ("/a%2f%2e%2e%2fb", "/b")])
def test_encoded_slash_decode(world, target, want):
    assert forwarded(world, target, encoded_slash='"decode"') == want


def test_encoded_slash_decode_above_root(world):
    assert_problem(forwarded(world, "/a%2f..%2f..%2fb", encoded_slash='"decode"'), 400, "bad_target")


def test_encoded_slash_in_query(world):
    for rule in ("keep", "reject", "decode"):
        assert forwarded(world, "/a?b=c%2fd", encoded_slash='"%s"' % rule) == "/a?b=c%2fd"


@pytest.mark.parametrize("target,want", [("//", "/"), ("//a", "/a"), ("/a//b", "/a/b"), ("/a///b//", "/a/b/"), ("/a//../b", "/b"), ("/a?x=//", "/a?x=//")])
def test_slashes_merged(world, target, want):
    assert forwarded(world, target, merge_slashes="true") == want


@pytest.mark.parametrize("target,want", [("/a//b", "/a//b"), ("/a//", "/a//"), ("//a", "//a"), ("/a//../b", "/a/b")])
def test_slashes_kept(world, target, want):
    assert forwarded(world, target, merge_slashes="false") == want


ADMIN = ["/admin", "/%61dmin", "/%61%64%6d%69%6e", "/./admin", "/x/../admin", "/x/%2e%2e/admin", "/x/.%2e/./admin", "/admin/", "/admin/x", "/admin/./x",
         "/admin/../admin/x", "/%61dmin/%78", "/admin/x/../", "http://test.example/admin", "http://test.example/x/../%61dmin", "/admin?x", "/admin/%2e"]


@pytest.mark.parametrize("target", ADMIN)
def test_no_way_around(world, target):
    """Every spelling of /admin is /admin."""
    r = forwarded(world, target)
    assert not isinstance(r, str), "forwarded as %s" % r
    assert r.status == 403


@pytest.mark.parametrize("target", ["//admin", "/x//../admin", "//admin//x", "/.//admin"])
def test_no_way_around_by_slashes(world, target):
    r = forwarded(world, target, merge_slashes="true")
    assert not isinstance(r, str), "forwarded as %s" % r
    assert r.status == 403


@pytest.mark.parametrize("target", ["/%2fadmin", "/x%2f..%2fadmin", "/admin%2fx", "/%2e%2fadmin"])
def test_no_way_around_by_encoded_slashes(world, target):
    r = forwarded(world, target, encoded_slash='"decode"', merge_slashes="true")
    assert not isinstance(r, str), "forwarded as %s" % r
    assert r.status == 403


@pytest.mark.parametrize("target,want", [("/Admin", "/Admin"), ("/admin2", "/admin2"), ("/%2561dmin", "/%2561dmin"), ("/a/admin", "/a/admin")])
def test_others_are_others(world, target, want):
    assert forwarded(world, target) == want


@pytest.mark.parametrize("target,want", [("/item/7", "/got/7"), ("/item/a%20b", "/got/a%20b"), ("/item/%61", "/got/a"), ("/item/x/../7", "/got/7"),
                                         ("/item/a%3Fb", "/got/a%3Fb"), ("/item/a%25b?q=1", "/got/a%25b?q=1")])
def test_capture_is_what_was_matched(world, target, want):
    assert forwarded(world, target) == want


def test_encoded_slash_is_no_segment(world):
    """Kept encoded, it does not make two segments: /item/a%2Fb is one {id}."""
    assert forwarded(world, "/item/a%2fb", encoded_slash='"keep"') == "/got/a%2Fb"


def test_default_for_encoded_slash_is_not_decode(world):
    r = forwarded(world, "/x%2f..%2fadmin")
    assert not isinstance(r, str) or r == "/x%2F..%2Fadmin"
