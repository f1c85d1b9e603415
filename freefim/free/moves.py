r"""The moves of the free calculus: one function each, for every kind of number.

A law is a curve; a point of it is held with its derivative along any parameter as the four
numbers ``z, dz, g, dg`` with :math:`g = G(z)`. A move takes such a point of the law of A to the
point of the new law that belongs to it; `m = z g - 1` is the moment function. The bodies are
plain arithmetic, so that the same functions run on floats, complex and numpy numbers, inside
compiled kernels, on mpmath numbers, on sympy expressions and on balls.

Beside each move stands its share of the logarithmic potential :math:`\Phi = \int G\,dz`
(:math:`\Phi \sim \log z` at infinity), whose imaginary part over π, just above the real line, is
the mass to the right. Logarithms come in as arguments; constants are left out where they are
real.
"""

__all__ = [
    "affine",
    "circular_total",
    "corner",
    "corner_potential",
    "free_poisson",
    "free_poisson_potential",
    "gaussian",
    "gaussian_potential",
    "inverse",
    "marchenko_pastur",
    "marchenko_pastur_potential",
    "multiplicative_power",
    "padding",
    "padding_potential",
    "product",
    "projection",
    "semicircle",
    "semicircle_potential",
    "singular_values",
    "square",
    "total",
]

# ruff: noqa: D103  (the moves are a table: the law that each makes stands beside it)
# mypy: disable-error-code="no-untyped-def"


def affine(z, dz, g, dg, scale, shift):  # scale·A + shift; the potential stays
    return scale * z + shift, scale * dz, g / scale, dg / scale


def corner(z, dz, g, dg, ratio):  # free corner of relative size `ratio`, R(g') = R(ratio g')
    rest = 1 - ratio
    return z - rest / g, dz + rest * dg / (g * g), g / ratio, dg / ratio


def corner_potential(phi, log_g, ratio):
    return (phi + (1 - ratio) * log_g) / ratio


def padding(z, dz, g, dg, ratio):  # `ratio` of the law, 1 - `ratio` of zeros
    rest = 1 - ratio
    return z, dz, ratio * g + rest / z, ratio * dg - rest / z * dz / z  # z² may be 0 in floats


def padding_potential(phi, log_z, ratio):
    return ratio * phi + (1 - ratio) * log_z


def gaussian(z, dz, g, dg, ratio, variance):  # X A Xᵀ, X n_out × n_in, Var = variance/n_in
    level = (ratio - 1) + z * g  # digits of 1 + m where ratio is 1
    dlevel = dz * g + z * dg
    top = 1 / (ratio * variance * z)
    return variance * z * level, variance * (dz * level + z * dlevel), top, -top * dz / z


def gaussian_potential(phi, log_z, m, ratio):
    return (1 - 1 / ratio) * log_z + (phi + m) / ratio


def projection(z, dz, g, dg, mass, value):  # free product with (1-mass) δ_0 + mass δ_value
    rest = 1 - mass
    out = value * (z - rest / g)
    dout = value * (dz + rest * dg / (g * g))
    top = z * g / out
    return out, dout, top, (dz * g + z * dg - top * dout) / out


def semicircle(z, dz, g, dg, variance):  # A + S, S semicircular
    return z + variance * g, dz + variance * dg, g, dg


def semicircle_potential(phi, g, variance):
    return phi + variance * g * g / 2


def free_poisson(z, dz, g, dg, rate, jump):  # A + P, R_P(g) = rate·jump/(1 - jump g)
    slack = 1 / (1 - jump * g)
    pull = rate * jump * slack
    return z + pull, dz + pull * jump * slack * dg, g, dg


def free_poisson_potential(phi, g, log_slack, rate, jump):  # log_slack = log(1 - jump g)
    return phi + rate * (1 / (1 - jump * g) - 1 + log_slack)


def marchenko_pastur(z, dz, g, dg, ratio, factor, exponent):  # factor = (1 + ratio m)^exponent
    slope = exponent * ratio * (dz * g + z * dg) / ((1 - ratio) + ratio * z * g)
    top = g / factor
    return z * factor, factor * (dz + z * slope), top, dg / factor - top * slope


def marchenko_pastur_potential(phi, m, log_level, ratio, exponent):  # log_level = log(1 + ratio m)
    return phi + exponent * (m + (1 - 1 / ratio) * log_level)


def multiplicative_power(z, dz, g, dg, factor, exponent):  # factor = (m/g)^(exponent-1)
    m = z * g - 1
    dm = dz * g + z * dg
    slope = (exponent - 1) * (dm / m - dg / g)
    top = g / factor
    return z * factor, factor * (dz + z * slope), top, dg / factor - top * slope


def inverse(z, dz, g, dg):  # A^{-1}; z changes its half plane. Potential: phi - log z
    return 1 / z, -dz / (z * z), z - z * z * g, dz - 2 * z * dz * g - z * z * dg


def singular_values(z, dz, g, dg, root):  # ±√A with equal weights, root = √z. Potential: phi/2
    return root, dz / (2 * root), g * root, dg * root + g * dz / (2 * root)


def square(z, dz, g, dg):  # A², A symmetric. Potential: 2 phi
    return z * z, 2 * z * dz, g / z, dg / z - g * dz / (z * z)


def total(z, dz, other, dother, g, dg):  # A + B where G_A = G_B = g. Potential: sum + log g
    return z + other - 1 / g, dz + dother + dg / (g * g), g, dg


def circular_total(m, dm, p, dp, g, dg):
    # |A + B|² of R-diagonal A, B: m, p = z G² of |A|², g of |B|², p equal. Sum + log p
    s = 1 / g + m / p
    ds = (dm - m * dp / p) / p - dg / (g * g)
    return p * s * s, s * (dp * s + 2 * p * ds), 1 / s, -ds / (s * s)


def product(z, dz, other, dother, g, dg):  # A^½ B A^½ where m_A = m_B, g = G_A(z). Sum + log m
    out = other * (z - 1 / g)
    dout = dother * (z - 1 / g) + other * (dz + dg / (g * g))
    top = z * g / out
    return out, dout, top, (dz * g + z * dg - top * dout) / out
