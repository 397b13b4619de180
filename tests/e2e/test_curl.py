"""Real curl against the gateway."""
import os
import shutil
import subprocess

import pytest

from harness import SCALE, Origin, chunked, config, reply

pytestmark = pytest.mark.skipif(not shutil.which("curl"), reason="no curl")


def curl(*args, input=None):
    p = subprocess.run(["curl", "-sS", "--noproxy", "*", "-m", str(int(30 * SCALE)), *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, input=input)
    assert p.returncode == 0, p.stderr.decode()
    return p.stdout


def test_get(gateway, origin):
    g = gateway(config(origin()))
    url = "http://127.0.0.1:%d" % g.port
    assert curl(url + "/a?b=c") == b"GET /a?b=c"
    out = curl("-i", url + "/a", "-H", "Host: api.example.com")
    assert out.startswith(b"HTTP/1.1 200 ") and out.endswith(b"\r\n\r\nGET /a")
    assert curl("-I", url + "/a").startswith(b"HTTP/1.1 200 ")
    assert curl("-0", url + "/a") == b"GET /a"
    assert curl("--path-as-is", url + "/a/../b/./c") == b"GET /b/c"


def test_kept_alive(gateway, origin):
    o = origin()
    g = gateway(config(o))
    url = "http://127.0.0.1:%d" % g.port
    out = curl("-w", "[%{num_connects}]", url + "/1", url + "/2", url + "/3")
    assert out == b"GET /1[1]GET /2[0]GET /3[0]"
    assert len(o.conns) == 1


def test_upload(gateway, origin, tmp_path):
    """More than 1 MB: curl asks first (Expect: 100-continue)."""
    data = os.urandom(3 << 20)
    path = tmp_path / "data"
    path.write_bytes(data)
    o = origin(lambda r: (reply(200, r.body)))
    g = gateway(config(o))
    url = "http://127.0.0.1:%d/" % g.port
    assert curl("-T", str(path), url) == data
    assert curl("--data-binary", "@" + str(path), url) == data
    assert curl("-T", "-", url, "-H", "Transfer-Encoding: chunked", input=data) == data
    assert all(q.body == data for q in o.requests)


def test_download(gateway, origin):
    data = os.urandom(3 << 20)
    o = origin(lambda r: reply(200, chunked(data[:1000], data[1000:]), [("Transfer-Encoding", "chunked")], length=False) if r.target == "/chunked" else reply(200, data))
    g = gateway(config(o))
    url = "http://127.0.0.1:%d" % g.port
    assert curl(url + "/length") == data
    assert curl(url + "/chunked") == data
    assert curl("--limit-rate", "8M", url + "/length") == data


def test_problem(gateway, origin):
    g = gateway(config(origin(), routes='{ match = "GET /a"; to = "origin"; }'))
    url = "http://127.0.0.1:%d" % g.port
    out = curl("-w", " %{http_code} %{content_type}", url + "/none")
    assert b'"reason":"no_route"' in out.replace(b'": "', b'":"') and out.endswith(b" 404 application/problem+json")
    out = curl("-w", " %{http_code}", "-H", "Accept: text/html", url + "/none")
    assert b"<html" in out.lower() and out.endswith(b" 404")


def test_redirect_followed(gateway, origin):
    g = gateway(config(origin(), routes='{ match = "GET /old/{id}"; redirect = "/new/{id}"; }, { match = "* /*"; to = "origin"; }'))
    assert curl("-L", "http://127.0.0.1:%d/old/7" % g.port) == b"GET /new/7"


def test_parallel(gateway, origin):
    g = gateway(config(origin(), workers=2))
    out = curl("-Z", *["http://127.0.0.1:%d/%d" % (g.port, i) for i in range(100)])
    assert sorted(out.replace(b"GET /", b" ").split()) == sorted(b"%d" % i for i in range(100))
