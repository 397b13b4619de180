"""gRPC: real grpcio on both sides, all kinds of calls; deadlines, errors, trailers, health; gRPC-Web for browsers."""
import base64
import json
import queue
import struct
import threading
import time
from concurrent import futures

import pytest

from harness import DEADLINE, SCALE, config, free_port, reply, wait_for
from pki import Pki

grpc = pytest.importorskip("grpc")

SERVICE = "/test.Shop/"


class Service(grpc.GenericRpcHandler):
    """Messages are plain bytes: what is tested is the transport."""

    def __init__(self):
        self.seen = []                  # (method, metadata, seconds left)
        self.entered, self.cancelled = threading.Event(), threading.Event()

    def service(self, details):
        name = details.method
        kinds = {
            SERVICE + "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            SERVICE + "Big": grpc.unary_unary_rpc_method_handler(lambda m, c: m),
            SERVICE + "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            SERVICE + "Slow": grpc.unary_unary_rpc_method_handler(self.slow),
            SERVICE + "Down": grpc.unary_stream_rpc_method_handler(self.down),
            SERVICE + "Stuck": grpc.unary_stream_rpc_method_handler(self.stuck),
            SERVICE + "Up": grpc.stream_unary_rpc_method_handler(self.up),
            SERVICE + "Both": grpc.stream_stream_rpc_method_handler(self.both),
            "/grpc.health.v1.Health/Check": grpc.unary_unary_rpc_method_handler(self.check),
            "/grpc.health.v1.Health/Watch": grpc.unary_stream_rpc_method_handler(self.watch),
        }
        if name in kinds:
            self.seen.append((name, dict(details.invocation_metadata)))
        return kinds.get(name)

    def unary(self, message, context):
        self.seen[-1] += (context.time_remaining(),)
        context.send_initial_metadata((("x-first", "head"),))
        context.set_trailing_metadata((("x-last", "trailer"), ("x-last-bin", b"\0\xff")))
        return b"re:" + message

    def fail(self, message, context):
        context.set_trailing_metadata((("x-last", "trailer"),))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not 100 % \u00e4 yet")

    def slow(self, message, context):
        self.seen[-1] += (context.time_remaining(),)
        context.add_callback(self.cancelled.set)
        self.entered.set()
        self.cancelled.wait(DEADLINE)
        return b"late"

    def down(self, message, context):
        for i in range(int(message)):
            yield b"%d" % i

    def stuck(self, message, context):
        context.add_callback(self.cancelled.set)
        yield b"one"
        self.cancelled.wait(DEADLINE)

    def up(self, messages, context):
        return b",".join(messages)

    def both(self, messages, context):
        for m in messages:
            yield b"re:" + m

    def check(self, message, context):
        if message == b"\x0a\x04lost":
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return b"\x08\x01"              # SERVING

    def watch(self, message, context):
        yield b"\x08\x01"
        yield b"\x08\x02"


OPTIONS = (("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20), ("grpc.enable_http_proxy", 0))


class Server:
    def __init__(self):
        self.service = Service()
        self.server = grpc.server(futures.ThreadPoolExecutor(16), handlers=(self.service,), options=OPTIONS + (("grpc.so_reuseport", 0),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    @property
    def target(self):
        return "http://127.0.0.1:%d" % self.port


@pytest.fixture
def server():
    s = Server()
    yield s
    s.service.cancelled.set()
    s.server.stop(0).wait(DEADLINE)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    p = Pki(tmp_path_factory.mktemp("pki"))
    p.cert("server", "api.example.com", san=["DNS:api.example.com"])
    return p


class Calls:
    def __init__(self, channel):
        self.channel = channel

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.channel.close()

    def unary(self, name, message=b"x", **kw):
        kw.setdefault("timeout", DEADLINE)
        return self.channel.unary_unary(name if name[0] == "/" else SERVICE + name).with_call(message, **kw)

    def down(self, name, message=b"x", **kw):
        kw.setdefault("timeout", DEADLINE)
        return self.channel.unary_stream(name if name[0] == "/" else SERVICE + name)(message, **kw)

    def up(self, name, messages, **kw):
        return self.channel.stream_unary(SERVICE + name)(messages, timeout=DEADLINE, **kw)

    def both(self, name, messages, **kw):
        return self.channel.stream_stream(SERVICE + name)(messages, timeout=DEADLINE, **kw)


def plain(g):
    return Calls(grpc.insecure_channel("127.0.0.1:%d" % g.port, options=OPTIONS))


def h2(server, listener='http = [ "h2", "1.1" ];', upstream="", **kw):
    return config(server.target if isinstance(server, Server) else server, listener=listener, upstream='http = "h2"; ' + upstream, **kw)


@pytest.fixture(params=["plain", "tls"])
def calls(request, gateway, server, pki):
    """Calls through a gateway, in the clear and by TLS."""
    if request.param == "plain":
        g = gateway(h2(server))
        channel = grpc.insecure_channel("127.0.0.1:%d" % g.port, options=OPTIONS)
    else:
        g = gateway(h2(server, 'tls: { cert = "%s"; key = "%s"; };' % (pki.path("server.pem"), pki.path("server.key"))))
        with open(pki.path("ca.pem"), "rb") as f:
            credentials = grpc.ssl_channel_credentials(f.read())
        channel = grpc.secure_channel("127.0.0.1:%d" % g.port, credentials, options=OPTIONS + (("grpc.ssl_target_name_override", "api.example.com"),))
    with Calls(channel) as c:
        c.gateway = g
        yield c


# ---- the four kinds

def test_unary(calls, server):
    answer, call = calls.unary("Unary", b"hello", metadata=(("x-mine", "a"), ("x-mine-bin", b"\1\2")))
    assert answer == b"re:hello" and call.code() == grpc.StatusCode.OK
    assert dict(call.initial_metadata())["x-first"] == "head"
    trailing = dict(call.trailing_metadata())
    assert trailing["x-last"] == "trailer" and trailing["x-last-bin"] == b"\0\xff"
    name, metadata, left = server.service.seen[0]
    assert metadata["x-mine"] == "a" and metadata["x-mine-bin"] == b"\1\2"
    assert metadata["x-forwarded-for"] == "127.0.0.1" and 0 < left <= DEADLINE + 1


@pytest.mark.parametrize("size", [0, 1, 16384, 65536, 8 << 20])
def test_sizes(calls, size):
    data = bytes(range(256)) * (size // 256 + 1)
    assert calls.unary("Big", data[:size])[0] == data[:size]


def test_server_streaming(calls):
    got = list(calls.down("Down", b"1000"))
    assert got == [b"%d" % i for i in range(1000)]
    assert list(calls.down("Down", b"0")) == []


def test_client_streaming(calls):
    assert calls.up("Up", iter([b"%d" % i for i in range(1000)])) == b",".join(b"%d" % i for i in range(1000))
    assert calls.up("Up", iter([])) == b""


def test_both_ways_one_by_one(calls):
    """Each message is answered before the next is sent: nothing is held back."""
    q = queue.Queue()
    answers = calls.both("Both", iter(q.get, None))
    for i in range(50):
        q.put(b"%d" % i)
        assert next(answers) == b"re:%d" % i
    q.put(None)
    assert list(answers) == []
    assert answers.code() == grpc.StatusCode.OK


def test_many_at_once(calls):
    futures_ = [calls.channel.unary_unary(SERVICE + "Unary").future(b"%d" % i, timeout=DEADLINE) for i in range(200)]
    assert [f.result() for f in futures_] == [b"re:%d" % i for i in range(200)]


# ---- statuses

def failed(call):
    with pytest.raises(grpc.RpcError) as e:
        r = call()
        if hasattr(r, "__next__"):
            list(r)
    return e.value


def test_an_error_of_the_service_passes(calls):
    e = failed(lambda: calls.unary("Fail"))
    assert e.code() == grpc.StatusCode.FAILED_PRECONDITION and e.details() == "not 100 % \u00e4 yet"
    assert dict(e.trailing_metadata())["x-last"] == "trailer"


def test_unknown_method(calls):
    assert failed(lambda: calls.unary("None")).code() == grpc.StatusCode.UNIMPLEMENTED


def test_health(calls):
    """The standard service for health checks goes through like any other."""
    assert calls.unary("/grpc.health.v1.Health/Check", b"")[0] == b"\x08\x01"
    assert list(calls.down("/grpc.health.v1.Health/Watch", b"")) == [b"\x08\x01", b"\x08\x02"]
    assert failed(lambda: calls.unary("/grpc.health.v1.Health/Check", b"\x0a\x04lost")).code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("policy,code,words", [
    ('{ type = "respond"; status = 401; }', "UNAUTHENTICATED", "401"),
    ('{ type = "respond"; status = 403; }', "PERMISSION_DENIED", "403"),
    ('{ type = "api-key"; header = "x-api-key"; }', "UNAUTHENTICATED", "the request bears no API key"),
    ('{ type = "size-limit"; max = "1KiB"; }', "RESOURCE_EXHAUSTED", "larger than allowed"),
    ('{ type = "respond"; status = 503; }', "UNAVAILABLE", "503"),
])
def test_refused_by_a_policy(gateway, server, policy, code, words):
    g = gateway(h2(server, service="policies = ( %s );" % policy))
    with plain(g) as calls:
        e = failed(lambda: calls.unary("Unary", b"x" * 5000))
        assert e.code().name == code and words in e.details(), e
    assert not server.service.seen


def test_rate_limited(gateway, server):
    g = gateway(h2(server, service='policies = ( { type = "rate-limit"; rate = "1/min"; by = "all"; } );'))
    with plain(g) as calls:
        assert calls.unary("Unary")[0] == b"re:x"
        e = failed(lambda: calls.unary("Unary"))
        assert e.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        metadata = dict(e.trailing_metadata()) | dict(e.initial_metadata())
        assert 0 < int(metadata["retry-after"]) <= 60


def test_no_route(gateway, server):
    g = gateway(h2(server, routes='{ match = "POST /other/*"; to = "origin"; }'))
    with plain(g) as calls:
        assert failed(lambda: calls.unary("Unary")).code() == grpc.StatusCode.UNIMPLEMENTED


def test_nobody_there(gateway):
    g = gateway(h2("http://127.0.0.1:%d" % free_port()))
    with plain(g) as calls:
        for call in (lambda: calls.unary("Unary"), lambda: calls.down("Down", b"3")):
            e = failed(call)
            assert e.code() == grpc.StatusCode.UNAVAILABLE and "refused the connection" in e.details()


def test_others_are_answered_as_ever(gateway):
    """What is no gRPC gets a problem document."""
    g = gateway(h2("http://127.0.0.1:%d" % free_port()))
    r = g.get("/")
    assert r.status == 502 and r.reason == "connect_refused"


def test_upstream_without_grpc(gateway, origin):
    """A page of HTML is no answer of gRPC; the client says so itself."""
    g = gateway(config(origin(lambda r: reply(503, b"<p>down", [("Content-Type", "text/html")])), listener='http = [ "h2", "1.1" ];'))
    with plain(g) as calls:
        assert failed(lambda: calls.unary("Unary")).code() == grpc.StatusCode.UNAVAILABLE


def test_broken_off(gateway, server):
    """The server dies in the middle of a stream: the client is told, in gRPC."""
    g = gateway(h2(server))
    with plain(g) as calls:
        answers = calls.down("Stuck")
        assert next(answers) == b"one"
        server.server.stop(0)
        e = failed(lambda: answers)
        assert e.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED), e


# ---- deadlines

def test_the_deadline_goes_on_reduced(calls, server):
    calls.unary("Unary", timeout=30)
    assert 20 < server.service.seen[0][2] <= 31
    calls.unary("Unary", timeout=3600)
    assert 3500 < server.service.seen[1][2] <= 3660     # coarse, as grpcio says it


def test_a_client_gives_up_in_time(calls, server):
    start = time.monotonic()
    e = failed(lambda: calls.unary("Slow", timeout=0.5))
    assert e.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - start < 5 * SCALE
    assert server.service.cancelled.wait(DEADLINE), "the service was not told"


def test_the_gateway_is_less_patient(gateway, server):
    """Its own limit is what the service sees, and what the client is told."""
    g = gateway(h2(server, upstream='timeout: { total = "600ms"; };'))
    with plain(g) as calls:
        e = failed(lambda: calls.unary("Slow", timeout=60))
        assert e.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert server.service.seen[0][2] < 1
    assert server.service.cancelled.wait(DEADLINE)


def test_the_gateway_is_less_patient_with_a_stream(gateway, server):
    g = gateway(h2(server, upstream='timeout: { total = "600ms"; };'))
    with plain(g) as calls:
        answers = calls.down("Stuck", timeout=60)
        assert next(answers) == b"one"
        e = failed(lambda: answers)
        assert e.code() == grpc.StatusCode.DEADLINE_EXCEEDED, e
    assert server.service.cancelled.wait(DEADLINE)


def test_the_deadline_is_the_gateway_s_too(gateway, origin):
    """Even where the upstream does not look at it, and the client does not count."""
    def script(conn):
        conn.at_end()
    g = gateway(config(origin(script=script)))
    start = time.monotonic()
    r = g.ask("POST", SERVICE + "Unary", [("Content-Type", "application/grpc"), ("grpc-timeout", "300m")], b"\0\0\0\0\0")
    assert r.status == 200 and r.get("grpc-status") == "4" and r.body == b""
    assert 0.25 < time.monotonic() - start < 5 * SCALE


def test_a_cancelled_call_is_cancelled_behind(calls, server):
    f = calls.channel.unary_unary(SERVICE + "Slow").future(b"x", timeout=DEADLINE)
    assert server.service.entered.wait(DEADLINE)
    f.cancel()
    assert server.service.cancelled.wait(DEADLINE)


# ---- what is written about it

def test_logs_and_metrics(gateway, server):
    g = gateway(h2(server, gateway=' policies = ( { type = "access-log"; path = "@DIR@/log"; } );'))
    with plain(g) as calls:
        calls.unary("Unary")
        failed(lambda: calls.unary("Fail"))
        failed(lambda: calls.unary("None"))

    def entries():
        try:
            with open(g.path("log")) as f:
                return [json.loads(s) for s in f]
        except (OSError, ValueError):
            return []
    wait_for(lambda: len(entries()) == 3, "three lines in the log")
    assert [e["grpc.status"] for e in entries()] == [0, 9, 12]
    assert [e["http.response.status_code"] for e in entries()] == [200] * 3
    g.wait_admin()
    metrics = g.metrics()
    for code in (0, 9, 12):
        assert metrics.value("postern_grpc_requests_total", service="all", code=code) == 1


def test_why(gateway):
    g = gateway(h2("http://127.0.0.1:%d" % free_port()))
    with plain(g) as calls:
        e = failed(lambda: calls.unary("Unary"))
        rid = (dict(e.trailing_metadata()) | dict(e.initial_metadata()))["x-request-id"]
    assert "grpc 14 UNAVAILABLE" in g.cli("why", rid)


# ---- gRPC-Web

def frame(message, flag=0):
    return struct.pack(">BI", flag, len(message)) + message


def frames(body):
    got = []
    while body:
        flag, n = struct.unpack(">BI", body[:5])
        assert len(body) >= 5 + n
        got.append((flag, body[5:5 + n]))
        body = body[5 + n:]
    return got


def unbase64(body):
    """Pieces may be padded each on its own."""
    out, at = b"", 0
    while at < len(body):
        end = at + 4
        while end < len(body) and b"=" not in body[at:end]:
            end += 4
        out += base64.b64decode(body[at:end], validate=True)
        at = end
    return out


def trailers_of(frame):
    flag, text = frame
    assert flag == 0x80 and text.endswith(b"\r\n")
    return dict(line.split(b":", 1) for line in text[:-2].split(b"\r\n"))


WEB = 'policies = ( { type = "grpc-web"; } );'


def web(g, method, body, type="application/grpc-web+proto", headers=(), http=None):
    return g.ask("POST", SERVICE + method, [("Content-Type", type), ("X-Grpc-Web", "1"), *headers], body)


@pytest.mark.parametrize("type", ["application/grpc-web", "application/grpc-web+proto"])
def test_web_binary(gateway, server, type):
    g = gateway(h2(server, service=WEB))
    r = web(g, "Unary", frame(b"hello"), type)
    assert r.status == 200 and r.get("content-type") == type and r.get("x-first") == "head"
    message, last = frames(r.body)
    assert message == (0, b"re:hello")
    t = trailers_of(last)
    assert t[b"grpc-status"].strip() == b"0" and t[b"x-last"].strip() == b"trailer"
    assert server.service.seen[0][1].get("te", "trailers") == "trailers"
    assert not r.trailers


@pytest.mark.parametrize("cut", [None, 1, 3, 5])
def test_web_text(gateway, server, cut):
    """Base64 both ways, in pieces that end anywhere; and each padded on its own."""
    g = gateway(h2(server, service=WEB))
    big = bytes(range(256)) * 300
    text = base64.b64encode(frame(big)) if cut is None else \
        b"".join(base64.b64encode(frame(big)[i:i + cut + 100]) for i in range(0, len(frame(big)), cut + 100))
    r = web(g, "Big", text, "application/grpc-web-text+proto")
    assert r.status == 200 and r.get("content-type") == "application/grpc-web-text+proto"
    message, last = frames(unbase64(r.body))
    assert message == (0, big)
    assert trailers_of(last)[b"grpc-status"].strip() == b"0"
    # byte by byte
    with g.client() as c:
        text = base64.b64encode(frame(b"abc"))
        c.request("POST", SERVICE + "Big", [("Content-Type", "application/grpc-web-text"), ("Transfer-Encoding", "chunked")], None)
        for b in text:
            c.send(b"1\r\n" + bytes([b]) + b"\r\n")
        c.send(b"0\r\n\r\n")
        r = c.response("POST")
        assert frames(unbase64(r.body))[0] == (0, b"abc")


def test_web_streaming_one_by_one(gateway, server):
    g = gateway(h2(server, service=WEB))
    with g.client() as c:
        c.request("POST", SERVICE + "Stuck", [("Content-Type", "application/grpc-web")], frame(b"x"))
        head = c.head()
        assert head.status == 200
        n = int(c.read_until(b"\r\n"), 16)
        assert c.read_exact(n) == frame(b"one")
        server.service.cancelled.set()
        c.read_until(b"\r\n")
        _, trailers = c.read_chunked()[0], None
    r = web(g, "Down", frame(b"100"))
    got = frames(r.body)
    assert [m for _, m in got[:-1]] == [b"%d" % i for i in range(100)]


def test_web_errors(gateway, server):
    g = gateway(h2(server, service=WEB))
    r = web(g, "Fail", frame(b"x"))
    assert r.status == 200 and r.get("content-type").startswith("application/grpc-web")
    got = trailers_of(frames(r.body)[-1]) if r.body else {b"grpc-status": r.get("grpc-status").encode()}
    assert got[b"grpc-status"].strip() == b"9"
    assert web(g, "Unary", b"!!!!", "application/grpc-web-text").get("grpc-status") == "13"


def test_web_refused_by_the_gateway(gateway, server):
    g = gateway(h2(server, service='policies = ( { type = "grpc-web"; }, { type = "respond"; status = 403; } );'))
    for type in ("application/grpc-web", "application/grpc-web-text"):
        r = web(g, "Unary", frame(b"x"), type)
        assert r.status == 200 and r.get("grpc-status") == "7" and r.get("content-type").startswith(type) and r.body == b""


def test_web_of_another_origin(gateway, server):
    """What a browser does: a preflight, then the call; it may read the status of answers without a body."""
    origin = ("Origin", "https://app.example.com")
    g = gateway(h2(server, routes='{ match = "POST /*"; to = "origin"; }', service="""policies = (
        { type = "cors"; origins = [ "https://app.example.com" ]; methods = [ "POST" ];
          headers = [ "content-type", "x-grpc-web" ]; expose = [ "grpc-status", "grpc-message" ]; },
        { type = "grpc-web"; } );"""))
    r = g.ask("OPTIONS", SERVICE + "Unary", [origin, ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "content-type,x-grpc-web")])
    assert r.status == 204 and r.get("access-control-allow-origin") == origin[1]
    for method, status in (("Unary", b"0"), ("None", b"12")):
        r = web(g, method, frame(b"x"), headers=[origin])
        assert r.status == 200 and r.get("access-control-allow-origin") == origin[1]
        got = r.get("grpc-status", "").encode() or trailers_of(frames(r.body)[-1])[b"grpc-status"].strip()
        assert got == status
    assert "grpc-status" in r.words("access-control-expose-headers")


def test_web_leaves_others_alone(gateway, origin):
    o = origin(lambda r: reply(200, b"\0" + r.body, [("Content-Type", "text/plain")]))
    g = gateway(config(o, service=WEB))
    r = g.ask("POST", "/", [("Content-Type", "application/json")], b"{}")
    assert r.body == b"\0{}" and o.requests[0].get("content-type") == "application/json"
    # An upstream that knows nothing of gRPC: its answer goes as it is.
    r = web(g, "Unary", base64.b64encode(frame(b"x")), "application/grpc-web-text")
    assert r.body == b"\0" + frame(b"x") and r.get("content-type") == "text/plain"
