"""What is installed beside the program: samples that are valid, pass their own route tests and bring
no warning; a unit file that is sandboxed; a manual page without a slip."""
import glob
import os
import re
import shutil
import subprocess

import pytest

from harness import ROOT, run

DIR = os.path.join(ROOT, "conf", "samples")
SAMPLES = sorted(glob.glob(os.path.join(DIR, "*.conf")))
PATTERNS = ["internal", "sidecar", "ingress-mtls", "ingress-firewall", "egress", "between"]


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    """A copy of the samples with the certificates that certs.sh makes, as their comments say."""
    to = tmp_path_factory.mktemp("samples")
    for path in SAMPLES:
        shutil.copy(path, str(to))
    subprocess.run([os.path.join(DIR, "certs.sh"), str(to / "tls")], check=True)
    return to


def test_there_are_samples():
    assert len(SAMPLES) >= 6
    names = [os.path.basename(p) for p in SAMPLES]
    assert all(p + ".conf" in names for p in PATTERNS)


@pytest.mark.parametrize("name", [os.path.basename(p) for p in SAMPLES])
def test_sample(beside, name):
    code, out, err = run("check", "-c", str(beside / name))
    assert code == 0, out + err
    assert "warning" not in out + err, out + err


@pytest.mark.parametrize("name", PATTERNS)
def test_pattern_tests_itself(beside, name):
    """Each of the deployment patterns has route tests, which take part in every check."""
    text = (beside / (name + ".conf")).read_text()
    assert text.count("send = ") >= 3
    broken = beside / (name + "-broken.conf")
    broken.write_text(re.sub(r"(send = \"\w+ https?://[^/]+)/[^\"]*", r"\1/nowhere/at/all", text))
    code, out, err = run("check", "-c", str(broken))
    assert code == 1 and "E601" in out + err, out + err


def test_certificates_do_not_leave_their_keys_open(beside):
    for path in glob.glob(str(beside / "tls" / "*.key")) + [str(beside / "tls" / "vendor.secret")]:
        assert os.stat(path).st_mode & 0o077 == 0, path
    # What is there stays.
    before = (beside / "tls" / "api.pem").read_bytes()
    subprocess.run([os.path.join(DIR, "certs.sh"), str(beside / "tls")], check=True)
    assert (beside / "tls" / "api.pem").read_bytes() == before


def test_configuration_of_the_readme(tmp_path):
    with open(os.path.join(ROOT, "README.md")) as f:
        blocks = re.findall(r"^```\n(.*?)^```$", f.read(), re.M | re.S)
    blocks = [b for b in blocks if "services:" in b]
    assert len(blocks) == 1
    path = tmp_path / "postern.conf"
    path.write_text(blocks[0])
    code, out, err = run("check", "-c", str(path))
    assert code == 0 and "warning" not in out + err, out + err


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
def test_unit_is_sandboxed():
    """Debian's nginx and haproxy units score 9.6."""
    p = subprocess.run(["systemd-analyze", "security", "--offline=true",
                        os.path.join(ROOT, "scripts", "postern.service")],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=dict(os.environ, LC_ALL="C.UTF-8"))
    out = p.stdout.decode()
    score = re.search(r"exposure level for \S+: ([0-9.]+)", out)
    assert score and float(score.group(1)) <= 2.0, out


@pytest.mark.skipif(not shutil.which("groff"), reason="there is no groff")
def test_manual_page():
    p = subprocess.run(["groff", "-mdoc", "-Tutf8", "-ww", os.path.join(ROOT, "master", "postern.8")],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert p.returncode == 0 and not p.stderr, p.stderr.decode()
    with open(os.path.join(ROOT, "master", "postern.8")) as f:
        text = f.read()
    conf = run("explain", "--manual")[1]
    p = subprocess.run(["groff", "-mdoc", "-Tutf8", "-ww"], input=conf.encode(),
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert p.returncode == 0 and not p.stderr, p.stderr.decode()
    for key in ("forward_client_cert", "client_cert_from", "token_upstream", "proxy_protocol", "pace"):
        assert "\n.It Cm %s" % key in conf, "postern.conf(5) does not know " + key
    verbs = re.findall(r"^  postern ([a-z]+) ", run("--help")[1], re.M)
    assert "stat" in verbs
    for verb in verbs:
        assert "\n.It Cm %s" % verb in text, "postern(8) does not know " + verb
