"""The command line: -t, check, -T, explain, -V; exit statuses; what is printed where."""
import json
import os
import re
import signal

import pytest

from harness import Origin, config, free_port, run, wait_for

GOOD = """
listeners: { main: { bind = [ "127.0.0.1:%d" ]; }; };
upstreams: { origin: { targets = [ "http://127.0.0.1:9000" ]; }; };
services:  { all: { domains = [ "*" ]; routes = ( { match = "* /*"; to = "origin"; } ); }; };
"""


@pytest.fixture
def conf(tmp_path):
    def write(text, name="postern.conf"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("%d", "8100"))
        return str(path)
    return write


@pytest.mark.parametrize("args", [["-t", "-c"], ["check", "-c"], ["-c", None, "-t"]])
def test_good(conf, args):
    path = conf(GOOD)
    args = [path if a is None else a for a in args] if None in args else args + [path]
    code, out, err = run(*args)
    assert code == 0, out + err


@pytest.mark.parametrize("verb", ["-t", "check"])
def test_bad(conf, verb):
    code, out, err = run(verb, "-c", conf(GOOD.replace('to = "origin"', 'to = "orign"')))
    text = out + err
    assert code == 1
    assert re.search(r"postern\.conf:4:\d+: error: .*no upstream \"orign\"; did you mean \"origin\"\? \[E\d+\]", text), text
    assert '   4 | ' in text and "^~~~" in text and "1 error" in text, text


def test_all_errors_at_once(conf):
    code, out, err = run("check", "-c", conf("""
gateway: { drain = 30; wrkers = 2; };
listeners: { main: { bind = [ "127.0.0.1:8100" ]; }; };
upstreams: { origin: { targets = [ "http://127.0.0.1:9000" ]; timeout: { connect = "1 fortnight"; }; }; };
services: { all: { domains = [ "*" ]; policies = [ "nope" ]; routes = ( { match = "* /*"; to = "nowhere"; } ); }; };
"""))
    text = out + err
    assert code == 1
    for line in (2, 4, 5):
        assert re.search(r"postern\.conf:%d:\d+: error" % line, text), text
    assert 'did you mean "workers"' in text and '"30s"' in text
    assert len(re.findall(r": error: ", text)) >= 5


def test_json(conf):
    code, out, err = run("check", "--format", "json", "-c", conf(GOOD.replace('to = "origin"', 'to = "orign"')))
    assert code == 1
    doc = json.loads(out)
    assert doc["errors"] == 1 and len(doc["findings"]) >= 1
    code, out, err = run("check", "--format", "json", "-c", conf(GOOD))
    assert code == 0 and json.loads(out)["errors"] == 0


def test_syntax(conf):
    code, out, err = run("check", "-c", conf('listeners: { main: { bind = [ "127.0.0.1:1 ]; }; };\n'))
    assert code == 1 and re.search(r"postern\.conf:1:\d+: error", out + err), out + err


def test_no_file(tmp_path):
    code, out, err = run("check", "-c", str(tmp_path / "none.conf"))
    assert code == 1 and "none.conf" in out + err


def test_include(conf, tmp_path):
    os.makedirs(str(tmp_path / "conf.d"))
    (tmp_path / "conf.d" / "b.conf").write_text('services: { all: { domains = [ "*" ]; routes = ( { match = "* /*"; to = "orign"; } ); }; };\n')
    (tmp_path / "conf.d" / "a.conf").write_text('upstreams: { origin: { targets = [ "http://127.0.0.1:9000" ]; }; };\n')
    path = conf('include = [ "conf.d/*.conf" ];\nlisteners: { main: { bind = [ "127.0.0.1:8100" ]; }; };\n')
    code, out, err = run("check", "-c", path)
    assert code == 1 and re.search(r"conf\.d/b\.conf:1:\d+: error", out + err), out + err
    (tmp_path / "conf.d" / "b.conf").write_text('services: { all: { domains = [ "*" ]; routes = ( { match = "* /*"; to = "origin"; } ); }; };\n')
    code, out, err = run("check", "-c", path)
    assert code == 0, out + err


def test_route_tests(conf):
    text = GOOD.replace('to = "origin"; } );', 'to = "origin"; } ); tests = ( { send = "GET http://a/b"; status = 404; } );')
    code, out, err = run("check", "-c", conf(text))
    assert code == 1 and re.search(r"postern\.conf:4:\d+: error", out + err) and "404" in out + err, out + err
    text = GOOD.replace('to = "origin"; } );', 'name = "r"; to = "origin"; } ); tests = ( { send = "GET http://a/b"; route = "r"; upstream = "origin"; path = "/b"; } );')
    code, out, err = run("check", "-c", conf(text))
    assert code == 0, out + err


def test_environment(conf):
    path = conf(GOOD.replace("http://127.0.0.1:9000", "http://${env:POSTERN_TEST_TARGET}"))
    assert run("check", "-c", path, env={"POSTERN_TEST_TARGET": "127.0.0.1:9000"})[0] == 0
    code, out, err = run("check", "-c", path)
    assert code == 1 and "POSTERN_TEST_TARGET" in out + err


def test_dump(conf):
    """-T prints the whole effective configuration, defaults included, and it is a configuration."""
    path = conf(GOOD)
    code, out, err = run("-T", "-c", path)
    assert code == 0, err
    assert "127.0.0.1:9000" in out and "timeouts" in out and "drain" in out
    again = conf(out, "again.conf")
    code, out2, err = run("-T", "-c", again)
    assert code == 0, out2 + err

    def body(s):
        return [x for x in s.splitlines() if not x.strip().startswith("#")]
    assert body(out) == body(out2)


def test_dump_of_a_bad_one(conf):
    code, out, err = run("-T", "-c", conf(GOOD.replace("to =", "too =")))
    assert code == 1 and "error" in err + out


def test_explain():
    code, out, err = run("explain", "upstreams.NAME.timeout.connect")
    assert code == 0 and "connect" in out
    code, out, err = run("explain", "services.routes.to")
    assert code == 0, out + err
    code, out, err = run("explain", "rate-limitt")
    assert code != 0
    code, out, err = run("explain", "cors")
    assert code == 0 and "origins" in out


def test_every_code_is_explained(conf):
    code, out, err = run("check", "-c", conf(GOOD.replace('to = "origin"', 'to = "orign"')))
    found = re.findall(r"\[(E\d+)\]", out + err)
    assert found
    for one in found:
        code, out, err = run("explain", one)
        assert code == 0 and len(out) > 40, (one, out, err)


def test_unreadable_file(tmp_path):
    """Says whose it is and its mode, and checks the rest of the configuration all the same."""
    import pwd
    import shutil
    import subprocess
    import tempfile
    from harness import POSTERN
    top = tempfile.mkdtemp(prefix="postern-unreadable-")
    try:
        os.chmod(top, 0o755)
        secret = os.path.join(top, "secret.conf")
        with open(secret, "w") as f:
            f.write('vars: { a = "b"; };\n')
        os.chmod(secret, 0o200)
        with open(os.path.join(top, "postern.conf"), "w") as f:
            f.write('include = [ "*ret.conf" ];\n' + GOOD.replace("%d", "8100").replace("domains", "domans"))
        args = [os.path.join(top, "postern"), "check", "-c", os.path.join(top, "postern.conf")]
        shutil.copy(POSTERN, args[0])
        os.chmod(args[0], 0o755)
        if os.geteuid() == 0:
            if not shutil.which("setpriv"):
                pytest.skip("root reads everything")
            args = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] + args
        p = subprocess.run(args, capture_output=True, text=True, timeout=60)
        owner = pwd.getpwuid(os.geteuid()).pw_name
        assert p.returncode == 1, p.stderr
        assert "postern.conf:1:13: error: cannot read secret.conf: Permission denied (owner %s, mode 0200) [E501]" % owner in p.stderr, p.stderr
        assert 'did you mean "domains"' in p.stderr and p.stderr.count("error: ") == 2, p.stderr
    finally:
        shutil.rmtree(top)


def test_syntax_and_names_at_once(conf):
    """One missing quote hides nothing else."""
    code, out, err = run("check", "-c", conf("""
listeners: { main: { bind = [ "127.0.0.1:8100 ]; }; };
upstreams: { origin: { targets = [ "http://127.0.0.1:9000" ]; timeout: { connect = 5; }; };
services: { all: { domains = [ "*" ]; routes = (
  { match = "GET /a{"; to = "origin"; },
  { match = "GET /b/{id}"; to = "nowhere"; rewrite = "/{ip}"; tos = 1; }
); }; };
"""))
    text = out + err
    assert code == 1
    for code in ("E101", "E102", "E304", "E403", "E201"):
        assert "[%s]" % code in text, text
    assert "E204" not in text and "E208" not in text and "E222" not in text, text
    assert re.search(r"^5 errors in 1 file\. Next: postern explain E101$", text, re.M), text


def test_route(conf):
    """Shows what would be done with a request, without a gateway."""
    path = conf(GOOD.replace('match = "* /*"', 'name = "all-of-it"; match = "* /*"; rewrite = "/new"'))
    code, out, err = run("route", "-c", path, "GET http://api.example.com/a")
    assert code == 0, err
    assert "all-of-it" in out and "origin" in out and "/new" in out


def test_version():
    code, out, err = run("-V")
    assert code == 0 and out.startswith("postern ")


def test_help_and_nonsense():
    code, out, err = run("--help")
    assert code == 0 and "-t" in out and "check" in out
    for args in (["frobnicate"], ["--frobnicate"], ["-c"], ["check", "--frob"]):
        code, out, err = run(*args)
        assert code not in (0, None) and err and "ssert" not in err, args


@pytest.mark.parametrize("later", [
    'policies: { p: { type = "jwt"; issuer = "https://id.example.com/"; }; };', 'policies: { p: { type = "cache"; }; };',
])
def test_later_is_refused(conf, later):
    """What this version does not do is never accepted silently."""
    code, out, err = run("check", "-c", conf(GOOD + later))
    assert code == 1 and "not in this version" in out + err, out + err


@pytest.mark.parametrize("old,new", [
    ('"http://127.0.0.1:9000" ];', '"http://127.0.0.1:9000" ]; balance = "least-request";'),
    ('"http://127.0.0.1:9000" ];', '"http://127.0.0.1:9000" ]; health: { path = "/h"; };'),
    ('"http://127.0.0.1:9000" ];', '"http://127.0.0.1:9000" ]; breaker: { connections = 5; };'),
    ('"http://127.0.0.1:9000" ];', '"http://127.0.0.1:9000" ]; retry: { budget = "20%"; };'),
])
def test_later_keys_are_refused(conf, old, new):
    text = GOOD.replace("%d", "8100")
    assert old in text
    code, out, err = run("check", "-c", conf(text.replace(old, new)))
    assert code == 1 and "not in this version" in out + err, out + err


def test_start_with_a_bad_file(gateway, origin):
    g = gateway(config(origin()).replace('to = "origin"', 'to = "orign"'), start=False)
    g.expect_exit = True
    g.start(wait=False)
    assert g.wait_exit() == 1
    assert re.search(r"postern\.conf:\d+:\d+: error", g.log())
    assert g.notify.count("READY") == 0


def test_start_with_an_address_in_use(gateway, origin):
    import socket
    s = socket.socket()
    port = free_port()
    s.bind(("127.0.0.1", port))
    s.listen()
    g = gateway(config(origin()).replace("@PORT@", str(port)), start=False)
    g.expect_exit = True
    g.start(wait=False)
    assert g.wait_exit() == 1
    assert str(port) in g.log() and "in use" in g.log().lower()
    s.close()


def test_without_a_service_manager(gateway, origin):
    """Foreground, no NOTIFY_SOCKET: one line says that it serves; it answers; INT ends it."""
    import subprocess
    from harness import POSTERN, Client
    o = origin()
    g = gateway(config(o), start=False)
    env = {k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"}
    env.setdefault("ASAN_OPTIONS", "detect_leaks=0")
    p = subprocess.Popen([POSTERN, "-c", g.conf], stderr=subprocess.STDOUT, stdout=subprocess.PIPE, env=env)
    try:
        line = p.stdout.readline().decode()
        while str(g.port) not in line and line:
            line = p.stdout.readline().decode()
        assert "127.0.0.1:%d" % g.port in line, line

        def answer():
            try:
                with Client(g.port) as c:
                    return c.get("/").status == 200
            except OSError:
                return False
        wait_for(answer, "an answer")
    finally:
        p.send_signal(signal.SIGINT)
        assert p.wait(30) == 0
        p.stdout.close()


def test_single(gateway, origin):
    """--single: one process, the same service."""
    o = origin()
    g = gateway(config(o), args=["--single"], wait=False)

    def answers():
        try:
            return g.get("/").status == 200
        except OSError:
            return False
    wait_for(answers, "an answer")
    assert g.children() == []
    with g.client() as c:
        for i in range(5):
            assert c.get("/%d" % i).body == b"GET /%d" % i
    g.pids = []
    assert g.stop(signal.SIGTERM) == 0
    g.expect_exit = True


def test_hostile_files(conf):
    """Errors, not crashes; and quickly."""
    deep = "a: " + "{ a: " * 100000
    for text in (deep, "a = " + "[" * 200000, "\0" * 1000, 'a = "' + "x" * 20000000 + '";', "a = 99999999999999999999999999999999;\n", "\xff\xfe\x00", "}" * 1000, "a" * 1000000,
                 "/*" * 10000, '@include "x"\n', "include = [ \"postern.conf\" ];\n"):
        code, out, err = run("check", "-c", conf(text), timeout=60)
        assert code == 1, (text[:50], code, out[:500], err[:500])
        assert "error" in out + err
