"""Reference densities, edges, atoms and band masses of free sums, products, powers and a tree.

Nothing here uses the package. Every law is reduced by hand to one equation for one complex
unknown, and the root is proven to be the right one by a theorem, not by how it was found:

- a real cubic has at most one pair of complex roots;
- at real x the subordination functions are fixed points of analytic self-maps of the upper half
  plane (a strip of it, for products), so that by Denjoy and Wolff there is at most one solution
  with all unknowns strictly inside (Belinschi and Bercovici 2007); `inside` tests that;
- Fuss-Catalan and Kesten-McKay laws have closed forms.

Edges are roots of discriminants, or of dx/dw = 0 on the real line. Band masses are known exactly
(multiples of 1/50 for laws of 50 atoms) and integrals of the density confirm them, and with them
that no band is missing.

    python validation/golden/make_calculus_golden.py
"""

import json
import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import mpmath as mp
import numba
import numpy as np
import sympy

HERE = Path(__file__).resolve().parent
DIGITS = 40
mp.mp.dps = DIGITS + 15


@dataclass
class Reference:
    """One law: density at a real x of a band, ends of the bands, atoms, points wanted."""

    density: object
    edges: list
    atoms: tuple = ()  # (location, mass)
    points: int = 1000
    hard: tuple = ()  # exponents -k/(k+1) of the density at ends where it is infinite
    masses: tuple | None = None  # exact, where they are known
    data: dict | None = None  # what the law is made of, if it is not in its name


# --- real cubics ------------------------------------------------------------------------------


def pair(coefficients, sign):
    """The root of a real cubic with an imaginary part of this sign."""
    roots = mp.polyroots(coefficients, maxsteps=500, extraprec=200)
    chosen = [r for r in roots if sign * mp.im(r) > mp.mpf(10) ** (-DIGITS)]
    assert len(chosen) == 1
    return chosen[0]


def cubic(equation, unknown, z, sign, transform, positive=True):
    """A law from a real cubic in `unknown`; `transform` makes G of x and the root."""
    polynomial = sympy.Poly(sympy.together(equation).as_numer_denom()[0], unknown)
    coefficients = [sympy.lambdify(z, c, "mpmath") for c in polynomial.all_coeffs()]
    discriminant = sympy.Poly(polynomial.discriminant(), z)
    value = sympy.lambdify(z, discriminant.as_expr(), "mpmath")
    roots = sorted({r for r in map(sympy.re, discriminant.real_roots())}, key=sympy.N)
    roots = [mp.mpf(str(sympy.N(r, mp.mp.dps))) for r in roots]
    steps = [roots[0] - 1, *roots, roots[-1] + 1]
    negative = [value((a + b) / 2) < 0 for a, b in pairwise(steps)]
    edges = [r for r, a, b in zip(roots, negative, negative[1:], strict=False) if a != b]

    def density(x):
        return -mp.im(transform(x, pair([c(x) for c in coefficients], sign))) / mp.pi

    return density, [e for e in edges if e > 0 or not positive]


def semicircle_and_marchenko_pastur():
    """Semicircle(1) ⊞ MarchenkoPastur(1/2): z = g + 1/g + 1/(1 - g/2)."""
    z, g = sympy.symbols("z g")
    return Reference(*cubic(g + 1 / g + 1 / (1 - g / 2) - z, g, z, -1, lambda x, g: g, False))


def two_marchenko_pastur():
    """MarchenkoPastur(1/2) ⊠ MarchenkoPastur(1/4): z m = (1 + m)(1 + m/2)(1 + m/4)."""
    z, m = sympy.symbols("z m")
    equation = (1 + m) * (1 + m / 2) * (1 + m / 4) - z * m
    return Reference(*cubic(equation, m, z, -1, lambda x, m: (1 + m) / x))


def marchenko_pastur_and_two_atoms():
    """MarchenkoPastur(1/5) ⊠ (δ_1 + δ_7)/2: z = w (1 + m/5), m the moment function at w."""
    z, w = sympy.symbols("z w")
    m = 1 / (w - 1) / 2 + 7 / (w - 7) / 2
    density, edges = cubic(w * (1 + m / 5) - z, w, z, 1, lambda x, w: (1 + 5 * (x / w - 1)) / x)
    return Reference(density, edges, masses=(Fraction(1, 2), Fraction(1, 2)))


# --- closed forms -----------------------------------------------------------------------------


def fuss_catalan(order=5):
    """MarchenkoPastur(1)^⊠order: x and the density as functions of an angle."""
    top = order + 1

    def place(t):
        return mp.sin(top * t) ** top / (mp.sin(t) * mp.sin(order * t) ** order)

    def density(x):
        low, high = mp.mpf(10) ** -8, mp.pi / top - mp.mpf(10) ** -8
        t = mp.findroot(
            lambda t: mp.log(place(t) / x), (low, high), solver="anderson", tol=1e-90, maxsteps=200
        )
        assert abs(place(t) / x - 1) < mp.mpf(10) ** (-DIGITS)
        return mp.sin(t) ** 2 * mp.sin(order * t) ** (order - 1) / mp.sin(top * t) ** order / mp.pi

    edge = mp.mpf(top) ** top / mp.mpf(order) ** order
    return Reference(density, [mp.mpf(0), edge], hard=(-Fraction(order, top), None))


def kesten_mckay(degree=3):
    """(δ_-1 + δ_1)/2 to the free power `degree`: the spectrum of a regular tree."""
    edge = 2 * mp.sqrt(degree - 1)

    def density(x):
        return degree * mp.sqrt(edge**2 - x * x) / (2 * mp.pi * (degree**2 - x * x))

    return Reference(density, [-edge, edge])


def projections():
    """(7/10 δ_0 + 3/10 δ_1)^⊞5/2: g² x(x - t) + g (x(t - 2) - t(tα - 1)) = t - 1."""
    a, t = mp.mpf(3) / 10, mp.mpf(5) / 2

    def density(x):
        middle = x * (t - 2) - t * (t * a - 1)
        return mp.sqrt(-(middle**2) - 4 * (t - 1) * x * (x - t)) / (2 * mp.pi * abs(x * (x - t)))

    square = (t - 2) ** 2 + 4 * (t - 1)
    linear = -2 * (t - 2) * t * (t * a - 1) - 4 * (t - 1) * t
    edges = sorted(map(mp.re, mp.polyroots([square, linear, (t * (t * a - 1)) ** 2])))
    return Reference(density, edges, atoms=((mp.mpf(0), Fraction(1, 4)),))


# --- subordination at real x ------------------------------------------------------------------


def clusters(seed, centres, width):
    """Fifty distinct dyadic numbers around the centres."""
    rng = np.random.default_rng(seed)
    count = 50 // len(centres)
    parts = [c + width * (rng.choice(4096, count, replace=False) / 2048 - 1) for c in centres]
    return [float(a) for a in np.sort(np.concatenate(parts))]


@numba.njit
def iterated(x, first, second, product, rounds):
    """w after so many rounds, or when it stands."""
    out = np.empty(x.size, np.complex128)
    for i in range(x.size):
        w = x[i] * (1 + 1j) if product else x[i] + 10j
        for _ in range(rounds):
            last, v = w, w
            for atoms in (first, second):
                g = (1 / (v - atoms)).sum() / atoms.size
                h = 1 / g - v
                v = -x[i] / h if product else x[i] + h
            w = v
            if abs(w - last) < 1e-14 * abs(w):
                break
        out[i] = w
    return out


class Pair:
    """Sum or product of two laws of equal atoms: fixed points of x ↦ step(1, x, step(0, x, w))."""

    def __init__(self, first, second, product):
        self.laws = first, second
        self.product = product
        self.exact = [[mp.mpf(a) for a in atoms] for atoms in self.laws]

    def transform(self, k, w):
        """G and its derivative."""
        inverses = [1 / (w - a) for a in self.exact[k]]
        return (
            mp.fsum(inverses) / len(inverses),
            -mp.fsum(i * i for i in inverses) / len(inverses),
        )

    def step(self, k, x, w, exact=True):
        """The other unknown from that of law k, with its derivative: x + F - w, or x/(w - F)."""
        if exact:
            g, dg = self.transform(k, w)
        else:
            inverses = 1 / (w[:, None] - np.array(self.laws[k]))
            g, dg = inverses.mean(axis=1), -(inverses**2).mean(axis=1)
        h, dh = 1 / g - w, -dg / g**2 - 1
        return (-x / h, x * dh / h**2) if self.product else (x + h, dh)

    def start(self, x, rounds):
        """Fixed-point iteration at real x, double precision: an array of w."""
        return iterated(np.asarray(x, float), *map(np.array, self.laws), self.product, rounds)

    def solve(self, x, w):
        """Newton on the fixed point in full precision; both unknowns, proven."""
        for _ in range(40):
            other, d0 = self.step(0, x, w)
            back, d1 = self.step(1, x, other)
            change = (back - w) / (1 - d0 * d1)
            w += change
            if abs(change) < mp.mpf(10) ** (-DIGITS - 8) * abs(w):
                break
        else:
            raise ArithmeticError(f"no root at {mp.nstr(x, 10)}")
        other = self.step(0, x, w)[0]
        if not min(mp.im(w), mp.im(other)) > mp.mpf(10) ** -DIGITS:
            raise ArithmeticError(f"no root in the upper half plane at {mp.nstr(x, 10)}")
        return w, other

    last = 1 + 1j

    def density(self, x):
        """Density at a real x of a band: from the last root or else by iteration."""
        for rounds in (0, 3000, 100000):
            try:
                start = self.start(np.array([float(x)]), rounds)[0] if rounds else self.last
                w, _ = self.solve(x, mp.mpc(start))
                break
            except ArithmeticError:
                continue
        else:
            raise ArithmeticError(f"no density at {mp.nstr(x, 12)}")
        self.last = w
        g = self.transform(0, w)[0]
        return -mp.im(w * g / x if self.product else g) / mp.pi

    def slope(self, w, other):
        """Tied equations at real w, other: difference of F (or of h), and dx/dw."""
        (g, dg), (k, dk) = self.transform(0, w), self.transform(1, other)
        ratio = lambda g, dg, w: (1 / g, -dg / g**2)  # noqa: E731
        if self.product:  # m is tied: w g = other k; x = w other m/(1+m)
            m, dm, dn = w * g - 1, g + w * dg, k + other * dk
            x = w * other * m / (1 + m)
            return w * g - other * k, 1 / w + dm / dn / other + dm / m - dm / (1 + m), x
        f, df = ratio(g, dg, w)
        return g - k, 1 + dg / dk - df, w + other - f

    def standstill(self, w, v, step="1e-30"):
        """x where dx/dw = 0: Newton on the tied equations, by differences of many digits."""
        step = mp.mpf(step)
        for _ in range(60):
            with mp.workdps(2 * mp.mp.dps):
                f, h, _ = self.slope(w, v)
                (fw, hw, _), (fv, hv, _) = (self.slope(w + step, v), self.slope(w, v + step))
                fw, hw, fv, hv = (fw - f) / step, (hw - h) / step, (fv - f) / step, (hv - h) / step
                det = fw * hv - fv * hw
                change = (f * hv - h * fv) / det, (h * fw - f * hw) / det
            w, v = w - change[0], v - change[1]
            if max(map(abs, change)) < mp.mpf(10) ** (-DIGITS - 5) * abs(v):
                return self.slope(w, v)[2]
        raise ArithmeticError(f"no end of a gap near {w}")

    def branches(self, k, t):
        """Real w of law k with transform t, and dw/dt (of log w): rows outside, gap 1, gap 2, …

        The transform, G or for products m, falls from +∞ to -∞ on every gap between atoms; the
        outside runs through infinity.
        """
        atoms = np.array(self.laws[k])
        low = np.repeat(np.concatenate([[np.nan], atoms[:-1]])[:, None], t.size, axis=1)
        high = np.repeat(np.concatenate([[np.nan], atoms[1:]])[:, None], t.size, axis=1)
        reach = (atoms[-1] if self.product else 1) / np.abs(t)
        low[0] = np.where(t > 0, atoms[-1], atoms[0] - reach)
        high[0] = np.where(t > 0, atoms[-1] + reach, atoms[0])
        if self.product:
            low[0] = np.where(t > 0, low[0], np.where(t < -1, 0.0, -reach / (1 - np.abs(t))))
            high[0] = np.where((t > 0) | (t < -1), high[0], 0.0)
        weights = atoms if self.product else np.ones_like(atoms)
        for _ in range(70):
            middle = (low + high) / 2
            value = (weights / (middle[..., None] - atoms)).mean(axis=-1)
            low, high = np.where(value > t, middle, low), np.where(value > t, high, middle)
        w = (low + high) / 2
        slope = -1 / (weights / (w[..., None] - atoms) ** 2).mean(axis=-1)
        return w, slope / w if self.product else slope

    def against(self, t, w, v, slopes, outside):
        """Whether x moves against t at real w, v."""
        if not self.product:
            return slopes + 1 / t**2 < 0
        ahead = slopes + 1 / (t * (1 + t))
        positive = w * v * t / (1 + t) > 0
        return np.where(positive, ahead < 0, (ahead > 0) & outside)

    def edges(self):
        """Ends of the real intervals of the transform t where x moves against it.

        There, and there only, x lies in a gap: 1/G_A' + 1/G_B' + 1/g² < 0, all pairs of gaps of
        the two laws, and likewise for log x and m; polished as zeros of dx/dw.
        """
        size = np.geomspace(1e-4, 1e4, 1000)
        t = np.concatenate([-size[::-1], size])
        if self.product:
            inner = 1 / (1 + np.geomspace(1e-4, 1e4, 1000)[::-1])
            t = np.concatenate([-1 - size[::-1], -1 + inner[inner < 1], size])
        (w, first), (v, second) = self.branches(0, t), self.branches(1, t)
        found = []
        for i, j in np.ndindex(w.shape[0], v.shape[0]):
            against = self.against(t, w[i], v[j], first[i] + second[j], i == j == 0)
            for k in np.flatnonzero(against[1:] != against[:-1]):
                ends = t[k : k + 2]
                for _ in range(4):
                    near = np.linspace(*ends, 40)
                    (a, da), (b, db) = ([part[q] for part in self.branches(law, near)]
                                        for law, q in ((0, i), (1, j)))  # fmt: skip
                    here = self.against(near, a, b, da + db, i == j == 0)
                    turns = np.flatnonzero(here[1:] != here[:-1])
                    if not turns.size:  # rounding decides
                        break
                    turn = int(turns[0])
                    ends = near[turn : turn + 2]
                found.append(self.standstill(mp.mpf(a[turn]), mp.mpf(b[turn])))
        return sorted(found)


def two_empirical_laws(product):
    """Fifty equal atoms each."""
    if product:
        first = clusters(13, [1, 3, 8, 20, 50], 0.5)
        second = clusters(14, [1, 1.25], 0.125)
    else:
        first = clusters(11, [2, 5, 11, 17, 26], 1.0)
        second = clusters(12, [0, 1], 0.5)
    two = Pair(first, second, product)
    return Reference(two.density, two.edges(), points=250, data={"first": first, "second": second})


# --- a tree of five leaves --------------------------------------------------------------------


class Tree:
    """A law as one explicit curve x(w): w and what is met on the way from the leaf to the root.

    ((Semicircle(1/4) ⊞ (3/10 δ_3 + 7/10 δ_5)) compressed to 3/5 ⊠ MarchenkoPastur(1/4)) ⊞
    (FreePoisson(1/2, 1) ⊞ Uniform(0, 1)); R of the uniform law is 1/(1 - exp(-g)) - 1/g.
    """

    @staticmethod
    def levels(w):
        """x, g, and everything that lies in the upper half plane on the physical sheet."""
        three, five = 1 / (w - 3), 1 / (w - 5)
        g = (3 * three + 7 * five) / 10
        z = w + g / 4
        corner = z - (1 - mp.mpf(3) / 5) / g
        g = g * 5 / 3
        m = corner * g - 1
        product = corner * (1 + m / 4)
        g = (1 + m) / product
        uniform = 1 / (1 - mp.exp(-g))
        other = uniform + 1 / (1 - g) / 2
        return product + other - 1 / g, g, (w, z, corner, product, uniform, other)

    def slope(self, w, step="1e-20"):
        """dx/dw by a central difference of many digits."""
        step = mp.mpf(step)
        with mp.workdps(2 * mp.mp.dps):
            return (self.levels(w + step)[0] - self.levels(w - step)[0]) / (2 * step)

    def solve(self, x, w, digits=DIGITS + 5):
        """Newton."""
        for _ in range(20):
            change = (self.levels(w)[0] - x) / self.slope(w)
            w -= change
            if abs(change) < mp.mpf(10) ** -digits * abs(w):
                return w
        raise ArithmeticError(f"no root at {mp.nstr(x, 10)}")

    def descend(self, x):
        """w at x + 0i, from far up the imaginary axis in small steps."""
        height, w = mp.mpf(1000), mp.mpc(x, 1000)
        while height > mp.mpf(10) ** -4:
            w = self.solve(mp.mpc(x, height), w, 8)
            height *= mp.mpf("0.7")
        return self.solve(mp.mpf(x), w)

    def density(self, x):
        """Density at a real x of a band: from the last root or else from above; tested."""
        for start in (lambda: self.solve(x, self.last), lambda: self.descend(x)):
            try:
                self.last = start()
            except ArithmeticError:
                continue
            _, g, levels = self.levels(self.last)
            if min(map(mp.im, levels)) > mp.mpf(10) ** -DIGITS and 0 > mp.im(g) > -mp.pi:
                return -mp.im(g) / mp.pi
        raise ArithmeticError(f"no root in the upper half plane at {mp.nstr(x, 10)}")

    last = mp.mpc(3, 3)


def five_leaves():
    """A tree of depth 3."""
    tree = Tree()
    ends = [mp.findroot(tree.slope, start, tol=1e-80) for start in (mp.mpf(0), mp.mpf(10))]
    return Reference(tree.density, [tree.levels(w)[0] for w in ends])


# --- the file ---------------------------------------------------------------------------------

CASES = {
    "semicircle plus Marchenko-Pastur": semicircle_and_marchenko_pastur,
    "product of two Marchenko-Pastur": two_marchenko_pastur,
    "Marchenko-Pastur times two atoms": marchenko_pastur_and_two_atoms,
    "Fuss-Catalan": fuss_catalan,
    "Kesten-McKay": kesten_mckay,
    "free power of a projection": projections,
    "sum of fifty atoms each": lambda: two_empirical_laws(False),
    "product of fifty atoms each": lambda: two_empirical_laws(True),
    "tree of five leaves": five_leaves,
}


def band_mass(reference, left, right, exponent):
    """Mass of a band by doubling the nodes, and the difference of the last two rules."""
    width = right - left
    if exponent is not None:  # analytic in v, u = v (2 - v), x = left + width u^power
        power = 1 / (1 + mp.mpf(exponent.numerator) / exponent.denominator)

        def integrand(v):
            u = v * (2 - v)
            slope = power * u ** (power - 1) * 2 * (1 - v)
            return width * slope * reference.density(left + width * u**power)

        return mp.quad(integrand, [0, 1], method="gauss-legendre", maxdegree=5, error=True)
    last, count = mp.mpf(0), 40
    while count <= 640:
        total = mp.mpf(0)
        for k in range(count):
            angle = (k + mp.mpf(1) / 2) * mp.pi / count
            density = reference.density(left + width * (1 - mp.cos(angle)) / 2)
            total += mp.sin(angle) * density * width / 2 * mp.pi / count
        change, last, count = abs(total - last), total, 2 * count
        if change < 1e-7:
            break
    return total, change


def points(reference, count):
    """Points uniform in the angle of each band, nearly the same number in each, nine digits."""
    bands = list(zip(reference.edges[::2], reference.edges[1::2], strict=True))
    places = []
    for k, (left, right) in enumerate(bands):
        number = count * (k + 1) // len(bands) - count * k // len(bands)
        angles = np.pi * (np.arange(number) + 0.5) / number
        x = float(left) + float(right - left) * (1 - np.cos(angles)) / 2
        places += [float(f"{v:.9g}") for v in x]
    return places


def solved(name):
    """One case, ready for the file."""
    reference = CASES[name]()
    places = points(reference, reference.points)
    density = [reference.density(mp.mpf(x)) for x in places]
    bands = list(zip(reference.edges[::2], reference.edges[1::2], strict=True))
    hard = (*reference.hard, *[None] * len(bands))
    masses, doubts = zip(*(band_mass(reference, *b, h) for b, h in zip(bands, hard, strict=False)),
                         strict=True)  # fmt: skip
    atoms = sum((m for _, m in reference.atoms), Fraction(0))
    if reference.data:
        exact = [Fraction(int(mp.nint(50 * m)), 50) for m in masses]
    else:
        exact = reference.masses or [1 - atoms]
    off = max(abs(m - mp.mpf(e.numerator) / e.denominator)
              for m, e in zip(masses, exact, strict=True))  # fmt: skip
    print(f"{name}: {len(bands)} bands, masses off by {mp.nstr(off, 2)}, "
          f"two rules differ by {mp.nstr(max(doubts), 2)}", flush=True)  # fmt: skip
    assert off < 1e-6 and sum(exact) + atoms == 1
    step = len(places) // 10
    return {
        "name": name,
        **(reference.data or {}),
        "edges": [mp.nstr(e, DIGITS) for e in reference.edges],
        "atoms": [[float(a), str(m)] for a, m in reference.atoms],
        "band_masses": [str(m) for m in exact],
        "mass_defect_of_quadrature": float(f"{float(off):.1e}"),
        "x": places,
        "pdf": [float(d) for d in density],
        "pdf_digits": {str(k): mp.nstr(density[k], DIGITS) for k in range(0, len(places), step)},
    }


def main():
    out = {
        "provenance": {
            "script": "validation/golden/make_calculus_golden.py",
            "method": "real cubics, closed forms, and subordination at real x with uniqueness "
            "by Denjoy and Wolff; every density to 40 digits, rounded here to doubles",
            "mpmath": mp.__version__,
            "numba": numba.__version__,
            "sympy": sympy.__version__,
            "numpy": np.__version__,
            "digits": DIGITS,
        },
        "cases": [solved(name) for name in CASES],
    }
    lines = json.dumps(out, indent=1)
    # one line an array: the file stays readable by difference
    lines = re.sub(r"\[[^\[\]{}]*\]", lambda m: " ".join(m.group().split()), lines)
    (HERE / "calculus.json").write_text(lines + "\n")


if __name__ == "__main__":
    main()
