"""What every test stands on: one BLAS thread, one tolerance table, one hypothesis profile."""

import os
import platform
from importlib.util import find_spec

# Before numpy is loaded: several BLAS threads change the last digits and oversubscribe the cores.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numba
import numpy as np
import pytest
import scipy
from hypothesis import HealthCheck, settings

TOL = {
    "algebra": 0.0,  # both sides rational
    "f64": 1e-12,  # closed forms in double precision
    "edge": 1e-12,  # edges and atoms of two-point chains, relative
    "moment": 1e-10,  # moments from bands and atoms, two-point gates
    "smooth": 1e-9,  # moments and densities, smooth gates
    "balance": 1e-9,  # total mass
}

# No deadline: the first example pays for the compilation of the kernels.
settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


EXTRAS = {"plot": "matplotlib", "parquet": "pyarrow", "exact": "flint", "data": "sklearn"}
DOCTESTS = {"freefim/plots.py": "plot", "freefim/free/proofs/face.py": "exact"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs an extra that is not installed: tests marked `extra(name, …)`, doctests."""
    for item in items:
        needed = [extra for mark in item.iter_markers("extra") for extra in mark.args]
        needed += [extra for place, extra in DOCTESTS.items() if item.nodeid.startswith(place)]
        for extra in needed:
            if find_spec(EXTRAS[extra]) is None:
                item.add_marker(pytest.mark.skip(reason=f"needs the extra {extra!r}"))


def pytest_report_header() -> str:
    return (
        f"python {platform.python_version()}, numpy {np.__version__}, "
        f"scipy {scipy.__version__}, numba {numba.__version__}"
    )


@pytest.fixture(scope="session")
def tol() -> dict[str, float]:
    return TOL
