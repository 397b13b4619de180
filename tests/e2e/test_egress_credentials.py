"""Credentials of an upstream: sent along with every request to it, and seen by nobody else."""
import base64
import os

from harness import config, reply, wait_for

SECRET = "s3cr3t-of-the-vendor"


def with_credential(gateway, o, credential, start=True, **kw):
    return gateway(config(o, upstream="credential: { %s };" % credential, **kw), start=start)


def test_basic(gateway, origin):
    o = origin()
    g = with_credential(gateway, o, 'type = "basic"; user = "us"; password = "%s";' % SECRET)
    with g.client() as c:
        assert c.get("/x").status == 200
    want = "Basic " + base64.b64encode(("us:" + SECRET).encode()).decode()
    assert o.requests[0].get("authorization") == want


def test_a_token_takes_the_place_of_what_the_client_sent(gateway, origin):
    o = origin()
    g = with_credential(gateway, o, 'type = "bearer"; token = "%s";' % SECRET)
    with g.client() as c:
        c.get("/x", headers=[("Authorization", "Bearer of-the-client"), ("AUTHORIZATION", "Basic eDp5"), ("X-Other", "1")])
        c.ask("POST", "/y", body=b"hello")
    for r in o.requests:
        assert r.all("authorization") == ["Bearer " + SECRET]
    assert o.requests[0].get("x-other") == "1"
    assert o.requests[1].body == b"hello"


def test_a_header_of_any_name(gateway, origin):
    o = origin()
    g = with_credential(gateway, o, 'type = "header"; header = "X-Api-Key"; value = "%s";' % SECRET)
    with g.client() as c:
        c.get("/x", headers=[("x-api-key", "guess"), ("Authorization", "Bearer mine")])
    assert o.requests[0].all("x-api-key") == [SECRET]
    assert o.requests[0].get("authorization") == "Bearer mine"


def test_from_a_file_and_read_again_on_reload(gateway, origin):
    o = origin()
    g = with_credential(gateway, o, 'type = "bearer"; token = "file:@DIR@/token";', start=False)
    for i, token in enumerate(["first", "second"]):
        with open(g.path("token"), "w") as f:
            os.fchmod(f.fileno(), 0o600)
            f.write(token + "\n")
        g.start() if i == 0 else g.reload()
        with g.client() as c:
            c.get("/x")
        assert o.requests[-1].get("authorization") == "Bearer " + token


def test_each_attempt_has_it(gateway, origin):
    def answer(r):
        return reply(503) if len(o.requests) == 1 else reply(200)
    o = origin(answer)
    g = gateway(config(o, upstream='credential: { type = "bearer"; token = "%s"; }; '
                                   'retry: { attempts = 1; on = [ "503" ]; };' % SECRET))
    with g.client() as c:
        assert c.get("/x").status == 200
    assert [r.get("authorization") for r in o.requests] == ["Bearer " + SECRET] * 2


def bytes_of(path):
    """Its data, without the holes: the region is sparse."""
    fd = os.open(path, os.O_RDONLY)
    at = 0
    try:
        while True:
            at = os.lseek(fd, at, os.SEEK_DATA)
            end = os.lseek(fd, at, os.SEEK_HOLE)
            yield os.pread(fd, end - at, at)
            at = end
    except OSError:
        pass                            # ENXIO: no data any more
    finally:
        os.close(fd)


def test_policies_logs_and_records_see_the_clients_own(gateway, origin):
    """What is logged of the request is what the client sent; the secret is in nothing that the gateway writes."""
    o = origin(lambda r: reply(500))
    g = gateway(config(o, upstream='credential: { type = "header"; header = "X-Vendor"; value = "%s"; };' % SECRET,
                       gateway='policies = ( { type = "access-log"; path = "@DIR@/access.log"; '
                               'format = "{method} {header.x-vendor}"; } );'))
    with g.client() as c:
        assert c.get("/x", headers=[("X-Vendor", "of-the-client")]).status == 500
    wait_for(lambda: g.counter("log_lines_total") == 1)
    g.expect_exit = True
    g.stop()
    with open(g.path("access.log")) as f:
        assert f.read() == "GET of-the-client\n"
    assert o.requests[0].get("x-vendor") == SECRET
    looked = 0
    for where, _, names in os.walk(g.dir):
        for name in names:
            path = os.path.join(where, name)
            if path == g.conf or not os.path.isfile(path):
                continue
            looked += 1
            for data in bytes_of(path):
                assert SECRET.encode() not in data, name
    assert looked > 3


def test_no_output_shows_it(gateway, origin):
    o = origin()
    g = with_credential(gateway, o, 'type = "bearer"; token = "%s";' % SECRET)
    status, out, err = g.run("config", "show", g.conf)
    assert SECRET not in out + err
    status, out, err = g.run("check", g.conf)
    assert status == 0 and SECRET not in out + err
