"""What is installed beside the program: samples that are valid, pass their own route tests and bring
no warning; a unit file that is sandboxed; a manual page without a slip."""
import glob
import os
import re
import shutil
import subprocess

import pytest

from harness import ROOT, run

SAMPLES = sorted(glob.glob(os.path.join(ROOT, "conf", "samples", "*.conf")))


def test_there_are_samples():
    assert len(SAMPLES) >= 6


@pytest.mark.parametrize("path", SAMPLES, ids=os.path.basename)
def test_sample(path):
    code, out, err = run("check", "-c", path)
    assert code == 0, out + err
    assert "warning" not in out + err, out + err


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
    verbs = re.findall(r"^  postern ([a-z]+) ", run("--help")[1], re.M)
    assert "stat" in verbs
    for verb in verbs:
        assert "\n.It Cm %s" % verb in text, "postern(8) does not know " + verb
