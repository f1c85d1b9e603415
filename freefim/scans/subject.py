"""What a scan varies: a spectrum or a statistic, taken apart into the fields that made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any

from freefim.errors import SpecError
from freefim.networks.activations import Activation
from freefim.networks.checks import nearest
from freefim.networks.files import network_to_toml
from freefim.networks.network import Network
from freefim.scans.numbers import is_spectrum

__all__ = ["Subject", "fixed_text"]


@dataclass(frozen=True)
class Subject:
    """A class and the fields that it is made of.

    Parameters
    ----------
    kind : type
        The class.
    given : mapping
        Its fields, without those that their defaults bring about.
    """

    kind: type
    given: Mapping[str, Any]

    @classmethod
    def of(cls, thing: Any) -> Subject:
        """Take a spectrum or a statistic apart.

        Fields that follow from the others, such as sampled class probabilities, are left to
        follow from them in every row.

        Raises
        ------
        SpecError
            If it is neither.
        """
        kind = type(thing)
        names = [item.name for item in fields(kind)] if is_dataclass(kind) else []
        if not (names and (is_spectrum(kind) or "net" in names)):
            raise SpecError(
                "spectrum_or_statistic must be a spectrum such as Jacobian(net) or a statistic "
                f"such as FisherStatistics(net, …), got {thing!r}"
            )
        given = {name: getattr(thing, name) for name in names}
        # later fields follow from earlier ones
        for item in reversed(fields(kind)):
            rest = {name: value for name, value in given.items() if name != item.name}
            if item.default is not MISSING and _makes(kind, rest, thing):
                given = rest
        return cls(kind, given)

    @property
    def network(self) -> str | None:
        """Name of the field that holds the network, if there is one."""
        held = (name for name, value in self.given.items() if isinstance(value, Network))
        return next(held, None)

    def check(self, names: Mapping[str, Any]) -> None:
        """Refuse names that can not be varied.

        Raises
        ------
        SpecError
            If a name is no field of the class nor of the network.
        """
        allowed = [item.name for item in fields(self.kind) if item.name != self.network]
        if self.network is not None:
            allowed += [item.name for item in fields(Network)]
        for name in names:
            if name not in allowed:
                raise SpecError(
                    f"a scan of {self.kind.__name__} varies {', '.join(allowed)}, "
                    f"got {name!r}{nearest(name, allowed)}"
                )

    def make(self, changes: Mapping[str, Any]) -> Any:
        """Make the thing with some fields of it, or of its network, changed.

        Raises
        ------
        SpecError
            If the changed fields do not mean anything.
        """
        own = {item.name for item in fields(self.kind)}
        outer = {name: value for name, value in changes.items() if name in own}
        inner = {name: value for name, value in changes.items() if name not in own}
        given = {**self.given, **outer}
        if inner and self.network is not None:
            given[self.network] = given[self.network].replace(**inner)
        return self.kind(**given)

    def text(self) -> str:
        """Write the subject, the same in every process.

        Raises
        ------
        SpecError
            If it holds Python callables, which have no text.
        """
        parts = (f"{name}={fixed_text(value)}" for name, value in self.given.items())
        return f"{self.kind.__name__}({', '.join(parts)})"


def fixed_text(value: Any) -> str:
    """Write a value, the same in every process; SpecError for Python callables."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(fixed_text, value))}]"
    if isinstance(value, Activation):
        network_to_toml(Network(2, value))
    elif isinstance(value, Network):
        network_to_toml(value)
    return repr(value)


def _makes(kind: type, given: Mapping[str, Any], thing: Any) -> bool:
    try:
        return bool(kind(**given) == thing)
    except (ValueError, ArithmeticError):
        return False
