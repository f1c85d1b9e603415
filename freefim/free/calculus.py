"""The free calculus on laws: operators, exact series, the curve of a law."""

from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, cast

from freefim.errors import SpecError
from freefim.free.proofs.face import Certified

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from freefim.free.law import Law

__all__ = ["Calculus"]


class Calculus(Certified):
    """What can be made of a law, and what is exact about it.

    ``a + b`` is the free sum, ``a @ b`` the free product; numbers shift and scale.
    """

    # numpy numbers leave `2 * law` and `1 + law` to the law
    __array_ufunc__: ClassVar[None] = None

    def __add__(self, other: Any) -> Any:
        from freefim.free.laws.numbers import is_number
        from freefim.free.trees.algebra import affine, free_sum

        if isinstance(other, Calculus):
            return free_sum(self._law, other._law)
        return affine(self._law, 1, other) if is_number(other) else NotImplemented

    __radd__ = __add__

    def __mul__(self, factor: Any) -> Any:
        from freefim.free.laws.numbers import is_number
        from freefim.free.trees.algebra import affine

        return affine(self._law, factor, 0) if is_number(factor) else NotImplemented

    __rmul__ = __mul__

    def __neg__(self) -> Any:
        return self * -1

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __truediv__(self, divisor: Any) -> Any:
        from freefim.free.laws.numbers import is_number, number, quotient

        if not is_number(divisor):
            return NotImplemented
        return self * quotient(1, number("divisor", divisor, "other than 0", lambda d: d != 0))

    def __matmul__(self, other: Any) -> Any:
        from freefim.free.trees.algebra import free_product

        if not isinstance(other, Calculus):
            return NotImplemented
        return free_product(self._law, other._law)

    def compress(self, ratio: Any) -> "Law":
        """Law of a free corner of relative size `ratio` in (0, 1], unnormalised: R(ratio·g).

        The eigenvalues of a principal block, in a rotated basis, keep their scale.

        Examples
        --------
        >>> from freefim.free.laws.named import Semicircle
        >>> Semicircle(4).compress(0.25)
        Semicircle(variance=1.0, mean=0)
        """
        from freefim.free.trees.algebra import compress

        return compress(self._law, ratio)

    def pad(self, ratio: Any) -> "Law":
        """Law with a fraction `ratio` in (0, 1] of this one and 1 - `ratio` of zeros."""
        from freefim.free.trees.algebra import pad

        return pad(self._law, ratio)

    def free_power(self, exponent: Any) -> "Law":
        """Free additive power, R = exponent·R_A, exponent >= 1.

        Examples
        --------
        >>> from freefim.free.laws.given import Atomic
        >>> Atomic([-1, 1], [0.5, 0.5]).free_power(2).variance()
        2.0
        """
        from freefim.free.trees.algebra import free_power

        return free_power(self._law, exponent)

    def multiplicative_power(self, exponent: Any) -> "Law":
        """Free multiplicative power of a law on [0, ∞), S = S_A^exponent, exponent >= 1.

        Examples
        --------
        >>> from freefim.free.laws.named import MarchenkoPastur
        >>> MarchenkoPastur(1).multiplicative_power(3).moments(3)
        (1, 4, 22)
        """
        from freefim.free.trees.algebra import multiplicative_power

        return multiplicative_power(self._law, exponent)

    def inverse(self) -> "Law":
        """Law of the inverse; no mass at 0, the support on one side of 0.

        The support is unbounded if the law reaches 0.
        """
        from freefim.free.trees.algebra import inverse

        return inverse(self._law)

    def symmetrised(self) -> "Law":
        """Symmetrised singular values of a law on [0, ∞): ±√A with equal weights."""
        from freefim.free.trees.algebra import singular_values

        return singular_values(self._law)

    def square(self) -> "Law":
        """Law of A², A symmetric or of finitely many values."""
        from freefim.free.trees.algebra import square

        return square(self._law)

    def rectangular(self, ratio: Any, variance: Any = 1) -> "Law":
        """Law of X A Xᵀ, X Gaussian n_out × n_in of `variance`/n_in, ratio = n_out/n_in.

        Examples
        --------
        >>> from freefim.free.laws.given import PointMass
        >>> PointMass(1).rectangular(2).moments(3)  # Marchenko–Pastur of ratio 2
        (1, 3, 11)
        """
        from freefim.free.trees.algebra import rectangular

        return rectangular(self._law, ratio, variance)

    def subordination(self, z: "ArrayLike") -> Any:
        """Subordination functions at complex z: where every leaf of the tree is evaluated.

        Parameters
        ----------
        z : array_like
            Complex points off the support.

        Returns
        -------
        ndarray, of the shape of `z` and one axis more
            The ω_j(z) of the leaves that are solved for, left to right; for a sum of laws
            G(z) = G_j(ω_j(z)).

        Raises
        ------
        SpecError
            If the law is not made by free operations, or `z` holds anything but numbers.
        """
        from freefim.free.laws.numbers import complexes

        solution = self._law.solution
        if not hasattr(solution, "subordination"):
            raise SpecError(
                f"subordination functions belong to laws made by free operations, got {self!r}"
            )
        return solution.subordination(complexes(z))

    def moments(self, order: int) -> tuple[Any, ...]:
        """Moments E x, …, E x^order; exact where the numbers of the law are.

        Raises
        ------
        SpecError
            If `order` is no integer >= 1, or the law has no moments.

        Examples
        --------
        >>> from freefim.free.laws.named import MarchenkoPastur, Semicircle
        >>> (MarchenkoPastur(1) + Semicircle(1)).moments(3)
        (1, 3, 8)
        """
        from freefim.free.trees.moments import tree_moments

        return tree_moments(self._law, order)

    def free_cumulants(self, order: int) -> tuple[Any, ...]:
        """Free cumulants κ_1, …, κ_order: R(g) = Σ κ_k g^(k-1). They add in free sums.

        Raises
        ------
        SpecError
            If `order` is no integer >= 1, or the law has no moments.

        Examples
        --------
        >>> from freefim.free.laws.named import MarchenkoPastur, Semicircle
        >>> (MarchenkoPastur(2) + Semicircle(1)).free_cumulants(4)
        (1, 3, 4, 8)
        """
        from freefim.free.trees.moments import tree_cumulants

        return tree_cumulants(self._law, order)

    def free_cumulant(self, k: int) -> Any:
        """Free cumulant κ_k, k >= 1."""
        if isinstance(k, bool) or not isinstance(k, Integral) or k < 1:
            raise SpecError(f"k must be an integer >= 1, got {k!r}")
        return self.free_cumulants(int(k))[-1]

    def r_series(self, order: int) -> tuple[Any, ...]:
        """Coefficients of R(g) at g = 0, orders 0 to `order` - 1, exact."""
        from freefim.free.exact.series import r_series

        return r_series(self._law, order)

    def s_series(self, order: int) -> tuple[Any, ...]:
        """Coefficients of S(m) at m = 0, orders 0 to `order` - 1, exact."""
        from freefim.free.exact.series import s_series

        return s_series(self._law, order)

    def polynomial(self) -> Any:
        """Polynomial P(z, G) with P(z, G(z)) = 0, of rational or symbolic parameters."""
        from freefim.free.exact.polynomial import polynomial

        return polynomial(self._law)

    def discriminant(self) -> Any:
        """Discriminant in G of `polynomial`: a polynomial in z that vanishes at every edge."""
        from freefim.free.exact.polynomial import discriminant

        return discriminant(self._law)

    def algebraic_edges(self) -> Any:
        """Edges of the bands as algebraic numbers, ascending."""
        from freefim.free.exact.edges import algebraic_edges

        return algebraic_edges(self._law)

    def precise_edges(self, digits: int) -> Any:
        """Edges of the bands to `digits` digits, ascending."""
        from freefim.free.precise import edges

        return edges(self._law, digits)

    @property
    def _law(self) -> "Law":
        return cast("Law", self)
