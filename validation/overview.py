"""What freefim computes, in one picture: laws over eigenvalues of sampled networks.

Writes `pictures/overview.png`, the picture of the README.
"""

from pathlib import Path

from matplotlib.figure import Figure

import freefim as ff
from freefim.plots import save_figure

PICTURE = Path(__file__).parent / "pictures" / "overview.png"


def panels():
    """Spectrum and title of every panel."""
    deep = ff.Network(5, ff.HardTanh(), weights="orthogonal", weight_std=1.02)
    smooth = ff.Network(5, "tanh", weights="orthogonal", weight_std=1.1)
    comb = ff.Network(7, ff.HardTanh(2), weights="orthogonal", weight_std=1.02)
    relu = ff.Network(5, "relu", weights="gaussian", weight_std=2**0.5, final_activation="relu")
    wide = ff.Network(3, "tanh", weights="gaussian")
    yield ff.ConditionalFIM(deep), "Fisher information, hard-tanh, depth 5", {}
    yield ff.ConditionalFIM(comb), "Fisher information near isometry, depth 7", {}
    yield ff.ConditionalFIM(smooth), "Fisher information, tanh, depth 5", {}
    yield ff.Jacobian(relu), "Jacobian, Gaussian ReLU, depth 5", {"log": True}
    yield ff.ConjugateKernel(wide, samples_ratio=0.5), "Conjugate kernel, tanh, depth 3", {}
    yield ff.HessianModel(0.5, 0.05), "Hessian model", {}


def main():
    """Draw every panel."""
    figure = Figure(figsize=(13, 7), layout="constrained")
    for axes, (spectrum, title, options) in zip(figure.subplots(2, 3).flat, panels(), strict=True):
        sample = spectrum.sample(width=500, replicas=8, seed=0)
        spectrum.law().plot(sample.eigenvalues, ax=axes, title=title, **options)
        for drawn in figure.axes:
            if drawn.get_legend() is not None:
                drawn.get_legend().remove()
    figure.supxlabel(
        "line and stems: law; grey and circles: eigenvalues of 8 networks of width 500"
    )
    save_figure(figure, PICTURE)


if __name__ == "__main__":
    main()
