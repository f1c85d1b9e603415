"""How the messages of this floor point at the nearest allowed name."""

import difflib
from collections.abc import Iterable

__all__ = ["nearest"]


def nearest(name: object, allowed: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` if an allowed name is near, else an empty string.

    Examples
    --------
    >>> nearest("wieghts", ["weights", "depth"])
    " (did you mean 'weights'?)"
    """
    close = difflib.get_close_matches(str(name), list(allowed), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
