"""Verdicts: a law against the spectra of sampled matrices.

Knows laws and sampled spectra, and no particular spectrum: each of those hands over its limit
law, its conditional laws and its sampler.
"""

from freefim.validation.compare import compare, validate
from freefim.validation.report import ValidationReport

__all__ = ["ValidationReport", "compare", "validate"]
