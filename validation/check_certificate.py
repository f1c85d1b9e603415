"""Check a certificate of ``freefim certify`` with python-flint alone: everything is recomputed.

The law is the curve t -> (z, F = 1/G) from (start + t, t) on. Gates, Gaussian matrices and corners
are maps H of the upper half plane: t belongs to a real x inside a band iff z(t) = x and Im > 0 at
t and after every H but the last; a real t lies in a gap iff dz/dt > 0 after every H. H' is concave
in z between its poles: tangents at two points can exclude a gap. Argument: the file to check.
"""

import json
import sys
from fractions import Fraction
from itertools import pairwise

from flint import acb, acb_series, arb, arb_series, ctx, fmpq

FAR = float("inf")
STEPS = {  # z and F of the next law; a gate is the free product with b delta_0 + (1 - b) delta_g
    "gate": lambda z, f, b, g: (g * (z - b * f), g * f * (z - b * f) / z),
    "gaussian": lambda z, f, c, s: (s * z * (c - 1 + z / f), s * c * z),
    "corner": lambda z, f, a: (z - (1 - a) * f, a * f),
    "affine": lambda z, f, s, q: (s * z + q, s * f),
}
MASSES = {  # Im of the integral of G from arguments of z, F, the next z, and Im m
    "gate": lambda phi, z, f, v, m, b, g: phi + b * (v - f),
    "gaussian": lambda phi, z, f, v, m, c, s: (1 - 1 / c) * z + (phi + m) / c,
    "corner": lambda phi, z, f, v, m, a: (phi - (1 - a) * f) / a,
    "affine": lambda phi, *_: phi,
}


def need(fact, words):
    if not fact:
        raise ValueError(words)


def ball(*ends):  # of a rational, or between two
    low, *high = [arb(fmpq(f.numerator, f.denominator)) for f in map(Fraction, ends)]
    return low.union(*high) if high else low


def holds(stated, value):
    need(ball(stated[0]) < value < ball(stated[1]), f"{stated} does not hold {value}")


def half_turns(value):  # argument over pi of a real number, from above
    need(value > 0 or value < 0, "a sign is not decided")
    return int(value < 0)


def structure(start, steps):  # atoms {key: (place, mass)}, where bands reach it, needed cuts
    atoms, floor, cuts, pole = {-1: (start, Fraction(1))}, None, [], None
    for k, (kind, *n) in enumerate(steps):
        if kind == "affine":
            atoms = {key: (n[0] * x + n[1], p) for key, (x, p) in atoms.items()}
            floor = floor if floor is None else n[0] * floor + n[1]
            continue
        key, zero = next(((key, p) for key, (x, p) in atoms.items() if x == 0), (k, 0))
        room = 1 - n[0] if kind == "gate" else n[0]
        clear, rank = zero == 0 and floor != 0, (1 - zero) / room
        if kind == "gaussian":  # atoms off 0 are poles of it
            cuts += [key for key, (x, _) in atoms.items() if x > 0 and key >= -1]
            atoms = {}
        elif pole is not None:  # zero of G in a gap that the gate just before has made
            cuts.append(pole)
        pole = k if kind == "gate" and clear else None
        unit, value = (room, n[1]) if kind == "gate" else (1, 1)
        off = {key: (value * x, unit * (1 - (1 - p) / room)) for key, (x, p) in atoms.items() if x}
        atoms = {key: (x, p) for key, (x, p) in off.items() if p > 0}
        floor = 0 if rank == 1 or (floor == 0 and rank < 1) else None
        if kind == "gate" or rank < 1:  # isolated atoms have keys >= -1: z_key = 0
            key = -2 - k if floor == 0 else key if rank < 1 else k + 1
            atoms[key] = (0, 1 - unit * min(rank, 1))
    return {x: p for x, p in atoms.values()}, floor, cuts


class Checker:
    def __init__(self, data):
        ctx.prec, self.data, self.start = data["bits"], data, Fraction(data["start"])
        self.steps = [(kind, *map(Fraction, values)) for kind, *values in data["steps"]]
        for kind, *n in self.steps:
            need(min(n[0], n[-1] + (kind == "affine")) > 0 and self.start > 0, "not positive")
            need((n[0] < 1 or kind not in ("gate", "corner")) and n[-1] >= 0, f"{kind} {n}")
        self.bands, (self.atoms, self.floor, self.poles) = [], structure(self.start, self.steps)

    def walk(self, t, depth=None):  # z, F at the start and after every step
        path = [(ball(self.start) + t, t)]
        for kind, *n in self.steps[:depth]:
            path.append(STEPS[kind](*path[-1], *map(ball, n)))
        return path

    def above(self, path, turn, im):  # mass right of z(t)
        phi, number = turn(path[0][1]), ball if isinstance(path[0][0], acb) else Fraction
        for (kind, *n), ((z, f), (v, _)) in zip(self.steps, pairwise(path), strict=True):
            m = im(z / f) if kind == "gaussian" else None
            phi = MASSES[kind](phi, turn(z), turn(f), turn(v), m, *map(number, n))
        return phi

    def fails(self, t, depth=None):  # None in a gap; else the step with H' < 0: z, H', dH'/dz
        path = self.walk(arb_series([t, 1], 3), depth)
        for k, ((z, _), (h, _)) in enumerate(pairwise(path)):
            if self.steps[k][0] != "affine" and not h[1] > 0:
                need(h[1] < 0, "a sign is not decided")
                return k, z[0], h[1] / z[1], 2 * (h[2] * z[1] - h[1] * z[2]) / z[1] ** 3
        return None

    def ends_of_gaps(self):  # [inside, outside] of the ends of all gaps, ascending
        cuts = [(c["depth"], *map(Fraction, c["between"])) for c in self.data["cuts"]]
        need(sorted(depth for depth, _, _ in cuts) == sorted(self.poles), "not these cuts")
        for depth, *ends in cuts:
            low, high = [self.walk(ball(t), max(depth, 0))[-1][0] for t in ends]
            stays = not any(self.fails(ball(*t), depth) for t in (ends[:1], ends[1:], ends))
            need(ends == [0, 0] if depth < 0 else stays and low < 0 < high, "no such cut")
        walls, found = [-FAR, *(t for cut in cuts for t in cut[1:]), FAR], []
        for left, right, cell in zip(walls[::2], walls[1::2], self.data["cells"], strict=True):
            marks = [[*map(Fraction, e or ())] for e in cell.get("gap", [cell.get("none")])]
            need(left < right and all(left < t < right for e in marks for t in e), "no order")
            if "none" in cell:
                (j, z, h, up), (k, w, g, down) = (self.fails(ball(t)) for t in marks[0])
                meet = h + up * ((g - h + up * z - down * w) / (up - down) - z)
                need(j == k and up > 0 > down and meet < 0, "a gap is not excluded")
                continue
            need([len(e) for e in marks] == [2 * (abs(t) < FAR) for t in (left, right)], "no end")
            for side, (t, out) in ((side, e) for side, e in enumerate(marks) if e):
                need((t > out) == (side == 0) and not self.fails(ball(t)), "outside a gap")
                need(self.fails(ball(out)), "not the end of a gap")
                found.append((t, out))
        return found

    def check_bands(self, last=-FAR):
        stated = {Fraction(place): Fraction(mass) for place, mass in self.data["atoms"]}
        need(stated == self.atoms, "not these atoms")
        ends = self.ends_of_gaps()
        for band, *edges in zip(self.data["bands"], ends[::2], ends[1::2], strict=True):
            for side, edge in zip((band["left"], band["right"]), edges, strict=True):
                need(last < Fraction(side[0]) <= Fraction(side[1]), "bands in disorder")
                last, hull = Fraction(side[1]), ball(*edge)
                if edge is ends[0] and self.floor is not None:
                    need([*map(Fraction, side)] == [self.floor] * 2, "not the lowest edge")
                    continue
                slope = self.walk(arb_series([hull, 1], 2))[-1][0][1]
                holds(side, self.walk(hull.mid())[-1][0] + slope * (hull - hull.mid()))
            above = [self.above(self.walk(ball(t)), half_turns, lambda m: 0) for t, _ in edges]
            need(above[0] - above[1] == Fraction(band["mass"]), "not the mass of the band")
            self.bands.append((Fraction(band["left"][0]), last, above[0] - above[1]))
        need(sum(mass for *_, mass in self.bands) + sum(stated.values()) == 1, "mass is missing")

    def check_point(self, x, point):
        if "t" not in point:
            need(all(x < left or x > right for left, right, _ in self.bands), "not in a gap")
            mass = sum(mass for _, right, mass in self.bands if right < x)
            mass += sum(p for place, p in self.atoms.items() if place <= x)
            need([*map(Fraction, point["pdf"] + point["cdf"])] == [0, 0, mass, mass], "values")
            return
        t, side, pi = acb(*map(ball, point["t"])), arb(0, ball(point["radius"])), arb.pi()
        slope = self.walk(acb_series([acb(t.real + side, t.imag + side), 1], 2))[-1][0][1]
        path = self.walk(t - (self.walk(t)[-1][0] - ball(x)) / slope)
        root = path[0][1]
        need(acb(t.real + side, t.imag + side).contains_interior(root), "no root in the box")
        maps = [k for k, (kind, *_) in enumerate(self.steps) if kind != "affine"]
        need(root.imag > 0 and all(path[k + 1][0].imag > 0 for k in maps[:-1]), "another sheet")
        holds(point["pdf"], -(1 / path[-1][1]).imag / pi)
        holds(point["cdf"], 1 - self.above(path, lambda v: v.arg() / pi, lambda m: m.imag / pi))


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        checker = Checker(json.load(file))
    checker.check_bands()
    for point in checker.data["points"]:
        checker.check_point(Fraction(point["x"]), point)
    print("proved:", len(checker.bands), "bands,", len(checker.data["points"]), "points")
