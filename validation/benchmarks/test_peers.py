"""Peers side by side on laws whose densities are known to forty digits: time, error, ratio.

    pytest validation/benchmarks/test_peers.py -s

Each task is a law and its density at the places of `validation/golden/calculus.json`, warm; the
median of several runs. A density is wrong where it misses the reference by more than 5 %. Peers
that are not installed are skipped. Figures, not tests: only freefim's own error can fail here.
"""

import json
import time
from fractions import Fraction as Q
from pathlib import Path

import numpy as np
import pytest

import freefim as ff

pytestmark = pytest.mark.filterwarnings("ignore")

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "calculus.json").read_text())
CASES = {case["name"]: case for case in GOLDEN["cases"]}
HALF = Q(1, 2)

OURS = {
    "semicircle plus Marchenko-Pastur": lambda: ff.free_sum(
        ff.Semicircle(1), ff.MarchenkoPastur(HALF)
    ),
    "product of two Marchenko-Pastur": lambda: ff.free_product(
        ff.MarchenkoPastur(HALF), ff.MarchenkoPastur(Q(1, 4))
    ),
    "Marchenko-Pastur times two atoms": lambda: ff.free_product(
        ff.MarchenkoPastur(Q(1, 5)), ff.Atomic([1, 7], [HALF, HALF])
    ),
    "Fuss-Catalan": lambda: ff.FussCatalan(5),
    "Kesten-McKay": lambda: ff.KestenMcKay(3),
    "Marchenko-Pastur": lambda: ff.MarchenkoPastur(HALF),
}


def marchenko_pastur(x):
    """Closed form at ratio 1/2."""
    return np.sqrt(np.maximum((1.5 + 2**0.5 - x) * (x - 1.5 + 2**0.5), 0)) / (np.pi * x)


def places(name):
    """Points and densities of a task."""
    if name in CASES:
        return np.array(CASES[name]["x"]), np.array(CASES[name]["pdf"])
    x = 1.5 - 2**0.5 * np.cos(np.pi * (np.arange(1000) + 0.5) / 1000)
    return x, marchenko_pastur(x)


def scikit_rmt(name, _):
    """Closed forms of single laws; no free operations."""
    module = "skrmt.ensemble.spectral_law"
    laws = pytest.importorskip(module, exc_type=ImportError)
    if name != "Marchenko-Pastur":
        pytest.skip("no such law there")
    law = laws.MarchenkoPasturDistribution(ratio=0.5)
    return law.pdf


def freealg(name, offset):
    """Compound free Poisson plus semicircle, deformed Marchenko-Pastur, and two by name."""
    laws = pytest.importorskip("freealg", exc_type=ImportError).distributions
    make = {
        "semicircle plus Marchenko-Pastur": lambda: laws.FreeLevy([0.5], [1.0], 2.0, 0.0, 1.0),
        "Marchenko-Pastur times two atoms": lambda: laws.DeformedMarchenkoPastur(
            [1.0, 7.0], [0.5, 0.5], 0.2
        ),
        "Fuss-Catalan": lambda: laws.FussCatalan(5),
        "Kesten-McKay": lambda: laws.KestenMcKay(3),
        "Marchenko-Pastur": lambda: laws.MarchenkoPastur(0.5),
    }
    if name not in make:
        pytest.skip("no such law there")
    closed = name in ("Kesten-McKay", "Marchenko-Pastur")
    options = {} if closed or offset is None else {"eta": offset}
    return lambda x: np.ravel(make[name]().density(x, **options)).real


PEERS = {
    "freealg": (freealg, None),
    "freealg, offset 1e-10": (freealg, 1e-10),
    "scikit-rmt": (scikit_rmt, None),
}


def median_time(function, x, runs=7):
    function(x)
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function(x)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def report(name, who, seconds, values, wanted):
    off = np.abs(values - wanted)
    wrong = int(np.count_nonzero(~(off <= 0.05 * wanted)))
    print(f"\n{name}: {who}: {1e3 * seconds:.3f} ms, largest error {off.max():.1e}, "
          f"median {np.median(off):.1e}, wrong {wrong} of {wanted.size}")  # fmt: skip
    return wrong


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("peer", PEERS)
def test_side_by_side(name, peer):
    make, offset = PEERS[peer]
    theirs = make(name, offset)
    x, wanted = places(name)

    def ours(x):
        return OURS[name]().pdf(x)

    seconds, others = median_time(ours, x), median_time(theirs, x)
    assert report(name, "freefim", seconds, ours(x), wanted) == 0
    report(name, peer, others, theirs(x), wanted)
    print(f"{name}: {peer} takes {others / seconds:.3g} times as long")
