"""The witness: sampled networks and the eigenvalues of their real Jacobians.

This room knows the description of a network and nothing of any law, so that its spectra are
independent evidence for or against a computed one.
"""

from freefim.montecarlo.empirical import EmpiricalSpectrum, Replica
from freefim.montecarlo.networks import NetworkReplica, NetworkSample, sample_networks

__all__ = ["EmpiricalSpectrum", "NetworkReplica", "NetworkSample", "Replica", "sample_networks"]
