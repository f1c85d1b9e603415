"""freefim: the free-probability spectrum calculator for random deep networks.

Public names are imported at first use, so that ``import freefim`` costs next to nothing.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "advice": ("LearningRate", "learning_rate"),
    "errors": ("ConvergenceError", "MissingExtraError", "SpecError"),
    "tables": ("Table",),
    "free.law": ("Law",),
    "free.laws.given": ("Atomic", "Cauchy", "Empirical", "PointMass", "Uniform"),
    "free.laws.density": ("Computed", "Density"),
    "free.laws.named": (
        "Arcsine",
        "CompoundFreePoisson",
        "FreePoisson",
        "FussCatalan",
        "KestenMcKay",
        "MarchenkoPastur",
        "Semicircle",
        "Wachter",
    ),
    "free.nested.law": ("Level", "NestedCovariances", "nested_covariances"),
    "free.pairs.law": ("CoupledPair",),
    "free.proofs.enclosure": ("Enclosure",),
    "free.trees.algebra": ("free_product", "free_sum"),
    "free.trees.nodes": (
        "Affine",
        "Compressed",
        "FreePower",
        "FreeProduct",
        "FreeSum",
        "Inverse",
        "MultiplicativePower",
        "Padded",
        "Rectangular",
        "SingularValues",
        "Square",
    ),
    "networks.network": ("Network",),
    "networks.order_parameters": ("OrderParameters",),
    "networks.meanfield": ("CriticalPoint", "critical_initialization"),
    "networks.pairs": (
        "PairOrderParameters",
        "correlation_of",
        "pair_order_parameters",
        "scan_pairs",
    ),
    "networks.pair_moments": ("pair_moments",),
    "networks.activations": (
        "ELU",
        "GELU",
        "Abs",
        "CustomActivation",
        "Erf",
        "HardTanh",
        "LeakyReLU",
        "Linear",
        "ReLU",
        "ShiftedReLU",
        "SiLU",
        "Sine",
        "Softplus",
        "Tanh",
    ),
    "interop.recorded": ("RecordedSpectrum",),
    "montecarlo.empirical": ("EmpiricalSpectrum",),
    "montecarlo.gradients": (
        "GradientEnsemble",
        "GradientReplica",
        "GradientSample",
        "sample_gradients",
    ),
    "montecarlo.gradients_descent": ("Descent", "descend", "perturbed_descent"),
    "montecarlo.networks": ("sample_networks",),
    "montecarlo.training": (
        "OnlineTraining",
        "initial_parameters",
        "replica_of",
        "stability_boundary",
        "train_online",
    ),
    "validation.report": ("ValidationReport",),
    "spectra.conditional_fim": ("ConditionalFIM",),
    "spectra.conjugate_kernel": ("ConjugateKernel",),
    "spectra.hessian_model": ("HessianModel",),
    "spectra.jacobian": ("Isometry", "Jacobian"),
    "spectra.layer_block": ("LayerBlock", "layer_blocks"),
    "spectra.neural_tangent_kernel": ("NeuralTangentKernel",),
    "spectra.residual_jacobian": ("ResidualJacobian",),
    "spectra.single_hidden_layer_fisher": ("SingleHiddenLayerFisher",),
    "scans.scan": ("scan",),
    "statistics.feature_metric": ("FeatureMetric",),
    "statistics.fisher": ("FisherStatistics", "LayerFisher"),
    "statistics.measured": ("measured_numbers",),
    "statistics.hidden_normalization": ("HiddenBatchNorm", "HiddenLayerNorm"),
    "statistics.normalization": ("OutputBatchNorm", "OutputLayerNorm"),
    "statistics.softmax": ("SoftmaxFisher",),
    "statistics.tangent_kernel": ("NeuralTangentKernelStatistics",),
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
