"""Order parameters and moments of smooth networks with 30 digits, apart from the package.

Gaussian averages by quadrature; the moments of a chain by truncated power series of χ = 1/z in m.
"""

from functools import cache

import mpmath as mp

DIGITS = 30
ORDER = 6
ACTIVATIONS = {
    "tanh": mp.tanh,
    "erf": mp.erf,
    "sine": mp.sin,
    "gelu": lambda h: h * mp.ncdf(h),
    "silu": lambda h: h / (1 + mp.exp(-h)),
    "elu": lambda h: h if h > 0 else mp.expm1(h),
    "softplus": lambda h: mp.log1p(mp.exp(h)) if h < 0 else h + mp.log1p(mp.exp(-h)),
}
SLOPES = {
    "tanh": lambda h: mp.sech(h) ** 2,
    "erf": lambda h: 2 / mp.sqrt(mp.pi) * mp.exp(-h * h),
    "sine": mp.cos,
    "gelu": lambda h: mp.ncdf(h) + h * mp.npdf(h),
    "silu": lambda h: (1 + h / (1 + mp.exp(h))) / (1 + mp.exp(-h)),
    "elu": lambda h: mp.mpf(1) if h > 0 else mp.exp(h),
    "softplus": lambda h: 1 / (1 + mp.exp(-h)),
}


def gaussian_mean(function, q):
    """E f(h), h ~ N(0, q), for a function with no singularity but at 0."""
    std = mp.sqrt(q)
    ends = [k * std / 2 for k in range(-32, 33)]
    return mp.quad(lambda h: function(h) * mp.npdf(h, 0, std), ends)


@cache
def order_parameters(name, depth, weight_std, bias_std):
    """Variances q_1, … of the preactivations and second moments q̂_0 = 1, q̂_1, …"""
    with mp.workdps(DIGITS):
        variances, seconds = [], [mp.mpf(1)]
        for _ in range(depth - 1):
            variances.append(mp.mpf(weight_std) ** 2 * seconds[-1] + mp.mpf(bias_std) ** 2)
            seconds.append(gaussian_mean(lambda h: ACTIVATIONS[name](h) ** 2, variances[-1]))
        return variances, seconds


def _product(a, b):
    return [mp.fsum(a[i] * b[k - i] for i in range(k + 1)) for k in range(ORDER + 1)]


def _inverse(a):
    """1/a for a series with a[0] != 0."""
    out = [1 / a[0]]
    for k in range(1, ORDER + 1):
        out.append(-mp.fsum(a[i] * out[k - i] for i in range(1, k + 1)) / a[0])
    return out


def _reversed(a):
    """The inverse function of a series with a[0] = 0, by Lagrange's formula."""
    base = _inverse([*a[1:], mp.mpf(0)])
    power, out = [mp.mpf(1)] + [mp.mpf(0)] * ORDER, [mp.mpf(0)]
    for n in range(1, ORDER + 1):
        power = _product(power, base)
        out.append(power[n - 1] / n)
    return out


@cache
def _gate_moments(name, q):
    return [
        gaussian_mean(lambda h, j=j: SLOPES[name](h) ** (2 * j), q) for j in range(1, ORDER + 1)
    ]


def moments(name, depth, weights, weight_std, bias_std, narrow="1"):
    """Moments 1, …, 6 of the law by power series with 30 digits."""
    variances, seconds = order_parameters(name, depth, weight_std, bias_std)
    with mp.workdps(DIGITS):
        variance, narrow = mp.mpf(weight_std) ** 2, mp.mpf(narrow)
        series = [seconds[0] ** k for k in range(1, ORDER + 1)]
        for k, q in enumerate(variances):
            gates = _gate_moments(name, q)
            # ⊠: χ = (χ_1/m) χ_2 (1 + m)
            law, gate = _reversed([mp.mpf(0), *series]), _reversed([mp.mpf(0), *gates])
            chi = _product([*law[1:], mp.mpf(0)], gate)
            chi = _product(chi, [mp.mpf(1), mp.mpf(1), *[mp.mpf(0)] * (ORDER - 1)])
            ratio = narrow if k == depth - 2 else mp.mpf(1)
            series = _weighted(chi, weights, ratio, variance)
            shift = seconds[k + 1]
            full = [mp.mpf(1), *series]
            series = [
                mp.fsum(mp.binomial(j, i) * full[i] * shift ** (j - i) for i in range(j + 1))
                for j in range(1, ORDER + 1)
            ]
        return [float(value) for value in series]


def _weighted(chi, weights, ratio, variance):
    """Moments of W A Wᵀ, from the series χ of A."""
    if weights == "gaussian":
        # z' = z (ratio + m), m' = m/ratio
        chi = [c * ratio**j for j, c in enumerate(chi)]
        other = _inverse([ratio, ratio, *[mp.mpf(0)] * (ORDER - 1)])
        chi = _product(chi, other)
    else:
        # corner: z' = z (ratio + m)/(1 + m), m' = m/ratio
        chi = [c * ratio**j for j, c in enumerate(chi)]
        above = [mp.mpf(1), ratio, *[mp.mpf(0)] * (ORDER - 1)]
        below = [ratio, ratio, *[mp.mpf(0)] * (ORDER - 1)]
        chi = _product(_product(chi, above), _inverse(below))
    series = _reversed(chi)
    return [series[j] * variance**j for j in range(1, ORDER + 1)]
