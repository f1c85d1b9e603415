"""The errors of freefim: what is wrong with an input, and what could not be computed."""

__all__ = ["ConvergenceError", "MissingExtraError", "SpecError"]


class SpecError(ValueError):
    """An argument, a network description or a file does not mean anything.

    The message is one sentence that names the argument, its value and what is allowed.
    """


class ConvergenceError(ArithmeticError):
    """A law or a number could not be computed to the promised accuracy.

    The message says what was found: the mass balance, the last residual, where it happened.
    """


class MissingExtraError(ImportError):
    """An optional dependency is absent; the message names the extra that brings it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {package}, which is not installed: pip install 'freefim[{extra}]'",
            name=package,
        )
