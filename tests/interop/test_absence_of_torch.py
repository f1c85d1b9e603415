"""Without torch everything else works, and what needs it says so in one sentence."""

import subprocess
import sys

import pytest

WITHOUT = """
import sys
sys.modules["torch"] = None  # what Python itself does to a module that must not load
import freefim as ff
from freefim.interop import torch as interop
from freefim.interop.saved import load_module
try:
    {use}
except ff.MissingExtraError as error:
    print(error)
"""


def said(use):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(use=use)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "use",
    [
        "ff.Network.from_torch(None)",
        "interop.network(None)",
        "interop.realised(None, [1.0])",
        "interop.empirical_fim(None, [1.0])",
        "interop.compare(None, [1.0])",
        "load_module('net.pt')",
    ],
)
def test_the_extra_is_named(use):
    (line,) = said(use)
    assert line.endswith("needs torch, which is not installed: pip install 'freefim[torch]'")


def test_recorded_spectra_do_not_need_it():
    assert said("print(ff.RecordedSpectrum([1.0, 2.0]).moments(1))") == ["(1.5,)"]
