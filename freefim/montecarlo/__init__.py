"""The witness: sampled networks and the eigenvalues of their real Jacobians.

This room knows the description of a network and nothing of any law, so that its spectra are
independent evidence for or against a computed one.
"""

from freefim.montecarlo.empirical import EmpiricalSpectrum, Replica
from freefim.montecarlo.sampler import sample_networks

__all__ = ["EmpiricalSpectrum", "Replica", "sample_networks"]
