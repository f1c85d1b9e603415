"""The shell: ``freefim VERB``, the verbs of `freefim.cli.verbs.VERBS`."""

import io
import os
import sys
from collections.abc import Sequence

from freefim.cli.arguments import parse
from freefim.errors import ConvergenceError, MissingExtraError, SpecError

__all__ = ["main"]

BAD_INPUT, NOT_COMPUTED, INTERRUPTED, READER_GONE = 2, 3, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        The words after ``freefim``; by default those of this process, which then is the program:
        an interruption ends it at once, running replicas included.

    Returns
    -------
    int
        0: done. 1: `validate` says FAIL. 2: bad input. 3: could not be computed to the promised
        accuracy. 130: interrupted. 141: the reader of standard output went away.

    Raises
    ------
    SystemExit
        After ``--help`` and ``--version``.

    Examples
    --------
    >>> main(["learning-rate", "no_such_file.toml"])
    2
    """
    if argv is None:
        for stream in (sys.stdout, sys.stderr):
            # A terminal without λ gets a question mark, not an error.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
    try:
        try:
            arguments = parse(sys.argv[1:] if argv is None else argv)
            # Numbers are loaded after the words are understood: --help is fast.
            from freefim.cli.verbs import VERBS

            return VERBS[arguments.verb](arguments)
        finally:
            sys.stdout.flush()
    except (SpecError, MissingExtraError) as error:
        return _fail(error, BAD_INPUT)
    except ConvergenceError as error:
        return _fail(error, NOT_COMPUTED)
    except ArithmeticError as error:
        return _fail(f"the range of floating-point numbers does not suffice: {error}", NOT_COMPUTED)
    except MemoryError as error:
        return _fail(f"out of memory: {error}".removesuffix(": "), NOT_COMPUTED)
    except KeyboardInterrupt:
        if argv is None:
            # Threads in the middle of a replica would hold an ordinary exit until they are done.
            os._exit(INTERRUPTED)
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return READER_GONE
    except OSError as error:
        _drop_output()
        return _fail(f"output cannot be written: {error.strerror or error}", BAD_INPUT)


def _fail(error: Exception | str, code: int) -> int:
    print("freefim: error:", " ".join(str(error).split()), file=sys.stderr)
    return code


def _drop_output() -> None:
    """Let what is still buffered go nowhere, so that the exit does not fail on it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
