"""Check a certificate: curve t -> (z, F = 1/G) by maps H. A root is physical iff Im > 0 at t and
after every H but the last; a gap has dz/dt > 0 after every H; H' is concave between its poles."""

import json
import sys
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path

from flint import acb, acb_series, arb, arb_series, ctx, fmpq

FAR, MOST = float("inf"), {"gate": 1, "corner": 1}
STEPS = {  # z and F of the next law; a gate is the free product with b delta_0 + (1 - b) delta_g
    "gate": lambda z, f, b, g: (g * (z - b * f), g * f * (z - b * f) / z),
    "gaussian": lambda z, f, c, s: (s * z * (c - 1 + z / f), s * c * z),
    "corner": lambda z, f, a: (z - (1 - a) * f, a * f),
    "affine": lambda z, f, s, q: (s * z + q, s * f),
}
MASSES = {  # Im of the integral of G, from the arguments of z, F, the next z, and from Im m
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


def structure(start, steps):  # atoms, the lowest edge if bands reached 0, depths of the cuts
    atoms, floor, cuts, pole = {-1: (start, Fraction(1))}, None, [], []
    for k, (kind, *n) in enumerate(steps):
        if kind == "affine":
            atoms = {key: (n[0] * x + n[1], p) for key, (x, p) in atoms.items()}
            floor = floor if floor is None else n[0] * floor + n[1]
            continue
        key, zero = next(((key, p) for key, (x, p) in atoms.items() if x == 0), (k, 0))
        clear, room = zero == 0 and floor != 0, 1 - n[0] if kind == "gate" else n[0]
        off = {key: (x, 1 - (1 - p) / room) for key, (x, p) in atoms.items() if x}
        cuts += [key for key in off if key > -2] if kind == "gaussian" else pole  # poles of H
        pole, rank = [k] if kind == "gate" and clear else [], (1 - zero) / room
        unit, value, dead = (room, n[1], 0) if kind == "gate" else (1, 1, kind == "gaussian")
        atoms = {key: (value * x, unit * p) for key, (x, p) in off.items() if p > dead}
        floor = 0 if rank == 1 or (floor == 0 and rank < 1) else None
        if kind == "gate" or rank < 1:  # atoms with key > -2 are born isolated, where z_key = 0
            key = -2 - k if floor == 0 else key if rank < 1 else k + 1
            atoms[key] = (0, 1 - unit * min(rank, 1))
    return dict(atoms.values()), floor, cuts


class Checker:
    def __init__(self, data):
        need(len({*data} - {"provenance"}) == 8, "not these keys")
        ctx.prec, self.data, self.start = data["bits"], data, Fraction(data["start"])
        self.steps = [(kind, *map(Fraction, values)) for kind, *values in data["steps"]]
        for kind, *n in self.steps:
            need(self.start > 0 < n[0] < MOST.get(kind, FAR) and n[-1] >= 0, "out of range")
            need(len(n) == 2 - (kind == "corner"), "not so many numbers")
        self.bands, (self.atoms, self.floor, self.cuts) = [], structure(self.start, self.steps)

    def walk(self, t, depth=None):  # z, F at the start and after every step
        move = lambda at, step: STEPS[step[0]](*at, *map(ball, step[1:]))  # noqa: E731
        return [*accumulate(self.steps[:depth], move, initial=(ball(self.start) + t, t))]

    def above(self, path, turn, im, number):  # mass right of z(t)
        phi = turn(path[0][1])
        for (kind, *n), ((z, f), (v, _)) in zip(self.steps, pairwise(path), strict=True):
            phi = MASSES[kind](phi, turn(z), turn(f), turn(v), im(z / f), *map(number, n))
        return phi

    def fails(self, t, depth=None):  # None in a gap; else the step with H' < 0: z, H', dH'/dz
        for k, ((z, _), (h, _)) in enumerate(pairwise(self.walk(arb_series([t, 1], 3), depth))):
            if self.steps[k][0] != "affine" and not h[1] > 0:
                need(h[1] < 0, "a sign is not decided")
                return k, z[0], h[1] / z[1], 2 * (h[2] * z[1] - h[1] * z[2]) / z[1] ** 3

    def ends_of_gaps(self):  # (inside, outside) of the ends of all gaps, ascending
        cuts = [(c["depth"], *map(Fraction, c["between"])) for c in self.data["cuts"] if len(c) < 3]
        need(sorted(depth for depth, _, _ in cuts) == sorted(self.cuts), "not these cuts")
        walls, cells = [-FAR], [cell for cell in self.data["cells"] if len(cell) == 1]
        for depth, *ends in cuts:
            stays = [depth < 0 or self.fails(ball(*t), depth) for t in (ends[:1], ends[1:], ends)]
            low, high = (self.walk(ball(t), max(depth, 0))[-1][0] for t in ends)
            need(ends == [0, 0] if depth < 0 else not any(stays) and low < 0 < high, "no such cut")
            z, f = self.walk(arb_series([ball(*ends), 1], 2), max(depth, 0))[-1]
            kind, b, *_ = self.steps[depth]  # a gate that has H' < 0 there makes no pole in a gap
            walls += [] if depth >= 0 and kind == "gate" and z[1] < ball(b) * f[1] else ends
        for left, right, cell in zip(walls[::2], [*walls[1::2], FAR], cells, strict=True):
            marks = [[*map(Fraction, e or ())] for e in cell.get("gap", [cell.get("none")])]
            need(left < right and all(left < t < right for e in marks for t in e), "no order")
            if "none" in cell:
                (j, z, h, up), (k, w, g, down) = (self.fails(ball(t)) for t in marks[0])
                meet = h + up * ((g - h + up * z - down * w) / (up - down) - z)
                need(j == k and up > 0 > down and meet < 0, "a gap is not excluded")
                continue
            ends = [e[1] < e[0] if e else None for e in marks]
            need(ends == [left > -FAR or None, not right < FAR and None], "no ends of a gap")
            for t, out in filter(None, marks):
                need(self.fails(ball(out)) and not self.fails(ball(t)), "not the end of a gap")
                yield t, out

    def check(self, last=-FAR):
        ends, turn = [*self.ends_of_gaps()], lambda v: int(need(v > 0 or v < 0, "no sign") or v < 0)
        for band, *edges in zip(self.data["bands"], ends[::2], ends[1::2], strict=True):
            for side, edge in zip((band["left"], band["right"]), edges, strict=True):
                need(last < Fraction(side[0]) <= Fraction(side[1]) and len(side) == 2, "disorder")
                last, hull = Fraction(side[1]), ball(*edge)
                if edge is ends[0] and self.floor is not None:
                    need([*map(Fraction, side)] == [self.floor] * 2, "not the lowest edge")
                    continue
                slope = self.walk(arb_series([hull, 1], 2))[-1][0][1]
                place = self.walk(hull.mid())[-1][0] + slope * (hull - hull.mid())
                need(ball(side[0]) < place < ball(side[1]), "not this edge")
            above = [self.above(self.walk(ball(t)), turn, lambda m: 0, Fraction) for t, _ in edges]
            mass = above[0] - above[1] - self.atoms.get(self.floor, 0) * (edges[0] is ends[0])
            need(mass == Fraction(band["mass"]) and len(band) == 3, "not the mass of the band")
            self.bands.append((Fraction(band["left"][0]), last, mass))
        atoms = [[*map(str, atom)] for atom in sorted(self.atoms.items())]
        need(self.data["atoms"] == atoms, "not these atoms")
        need(sum(mass for *_, mass in self.bands) + sum(self.atoms.values()) == 1, "mass is lost")
        for point in self.data["points"]:
            self.check_point(Fraction(point.pop("x")), **point)
        print("every statement is proved")

    def check_point(self, x, pdf, cdf, t=None, radius=None):
        need(len(pdf) == len(cdf) == 2, "not intervals")
        if radius is None:
            need(all(x < left or x > right for left, right, _ in self.bands), "not in a gap")
            mass = sum(m for *_, to, m in (*self.bands, *self.atoms.items()) if to <= x)
            return need([*map(Fraction, [*pdf, *cdf])] == [0, 0, mass, mass], "not the values")
        box, pi = acb(*(arb(ball(part), ball(radius)) for part in t)), arb.pi()
        slope = self.walk(acb_series([box, 1], 2))[-1][0][1]
        path = self.walk(box.mid() - (self.walk(box.mid())[-1][0] - ball(x)) / slope)
        inner = [z for (z, _), step in zip(path, self.steps, strict=False) if step[0] != "affine"]
        need(box.contains_interior(path[0][1]) and all(z.imag > 0 for z in inner), "no root")
        above = self.above(path, lambda v: v.arg() / pi, lambda m: m.imag / pi, ball)
        need(ball(pdf[0]) < -(1 / path[-1][1]).imag / pi < ball(pdf[1]), "not this density")
        return need(ball(cdf[0]) < 1 - above < ball(cdf[1]), "not this mass")


if __name__ == "__main__":
    sys.excepthook = lambda kind, fault, _: print("not proved:", kind.__name__, fault)
    Checker(json.loads(Path(*sys.argv[1:]).read_text(encoding="utf-8"))).check()
