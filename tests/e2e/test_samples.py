"""Every sample of conf/samples is valid, passes its own route tests and brings no warning."""
import glob
import os

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
