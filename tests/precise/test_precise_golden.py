"""Any precision against the forty-digit references, which know nothing of the moves."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import mpmath as mp
import pytest

from freefim.free import precise


def _laws():
    path = Path(__file__).parents[1] / "trees" / "golden_laws.py"
    spec = spec_from_file_location("golden_laws", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LAWS = _laws()


@pytest.mark.parametrize(("name", "law"), LAWS.TREES, ids=LAWS.NAMES)
def test_densities_agree_to_forty_digits(name, law):
    case = LAWS.CASES[name]
    with mp.workdps(50):
        for place, digits in case["pdf_digits"].items():
            wanted = mp.mpf(digits)
            found = precise.pdf(law, case["x"][int(place)], 40)
            assert abs(found / wanted - 1) < mp.mpf(10) ** -38
