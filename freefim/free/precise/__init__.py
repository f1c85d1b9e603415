"""Any number of digits: the moves of the calculus on mpmath numbers."""

from freefim.free.precise.face import cauchy, edges, moment, pdf

__all__ = ["cauchy", "edges", "moment", "pdf"]
