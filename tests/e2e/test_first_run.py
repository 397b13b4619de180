"""What a stranger sees who starts it wrongly: one clear error that ends with what to do next, and
exit status 1 (2 for a command line that is none)."""
import os
import socket

import pytest

from harness import run

CONF = """%slisteners: { web: { bind = [ "127.0.0.1:%d" ]; }; };
upstreams: { app: { targets = [ "http://127.0.0.1:9" ]; }; };
services: { site: { domains = [ "*" ]; routes = ( { match = "* /*"; to = "app"; } ); }; };
"""


@pytest.fixture
def taken():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(1)
        yield s.getsockname()[1]


def write(tmp_path, gateway, port):
    path = tmp_path / "a.conf"
    path.write_text(CONF % (gateway, port))
    return str(path)


@pytest.mark.skipif(os.path.exists("/etc/postern/postern.conf"), reason="postern is installed")
@pytest.mark.parametrize("option", [(), ("-t",), ("-T",), ("--single",)])
def test_no_configuration(option):
    code, out, err = run(*option)
    assert code == 1 and not out
    assert "there is no " in err and "/postern.conf" in err
    assert err.splitlines()[-1].startswith("Next: postern -c FILE")


@pytest.mark.parametrize("option", [(), ("-t",), ("-T",)])
def test_file_that_is_none(tmp_path, option):
    """The path is said as it is: nothing else tells where the file was looked for."""
    for path, code in ((tmp_path / "absent.conf", "E501"), (tmp_path, "E505")):
        status, out, err = run(*option, "-c", str(path))
        assert status == 1 and not out
        assert str(path) in err and err.count("error: ") == 1
        assert err.splitlines()[-1].endswith(". Next: postern explain " + code)


def test_port_is_taken(tmp_path, taken):
    gateway = 'gateway: { rundir = "%s/run"; statedir = "%s/state"; };\n' % (tmp_path, tmp_path)
    for option in (), ("--single",):
        code, out, err = run(*option, "-c", write(tmp_path, gateway, taken))
        assert code == 1
        assert "cannot listen on 127.0.0.1:%d: Address already in use [E520]" % taken in err
        assert err.splitlines()[-1].endswith(". Next: postern explain E520")


def test_run_directory_is_none(tmp_path, taken):
    (tmp_path / "run").write_text("")
    code, out, err = run("-c", write(tmp_path, 'gateway: { rundir = "%s/run"; };\n' % tmp_path, taken))
    assert code == 1 and len(err.splitlines()) == 1
    assert "gateway.rundir %s/run: Not a directory [E524]" % tmp_path in err
    assert err.rstrip().endswith("Next: postern explain E524")


@pytest.mark.parametrize("words,said", [
    (["reload"], "Next: kill -HUP PID"),
    (["-s", "reload"], "Next: kill -HUP PID"),
    (["a.conf"], "Next: postern -c a.conf"),
    (["sttat"], "Next: postern --help"),
    (["-x"], "Next: postern --help"),
])
def test_command_line_of_other_servers(words, said):
    code, out, err = run(*words)
    assert code == 2 and not out and said in err


@pytest.mark.parametrize("verb", ["check", "explain", "route", "stat"])
def test_verbs_have_help(verb):
    code, out, err = run(verb, "--help")
    assert code == 0 and out.startswith("usage: postern " + verb) and not err


def test_stat_finds_the_run_directory_of_an_ordinary_user(tmp_path, monkeypatch):
    if os.geteuid() == 0:
        pytest.skip("root has /run/postern")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert "%s/postern/region" % tmp_path in run("stat")[2]


def test_names_of_templates_are_told():
    code, out, err = run("explain", "templates")
    assert code == 0 and "{client.ip}" in out and "{header.NAME}" in out and "{claim" not in out
    manual = run("explain", "--manual")[1]
    assert manual.index(".Sh HOW A ROUTE IS FOUND") < manual.index(".Sh TEMPLATES") < manual.index(".Sh FILES")
    assert ".It Ql {client.ip}\n" in manual
