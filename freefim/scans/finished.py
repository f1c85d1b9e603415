"""Tasks on any executor, their results as they finish."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, as_completed
from typing import TypeVar

__all__ = ["as_finished"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def as_finished(
    task: Callable[[Item], Result], items: Mapping[int, Item], executor: Executor | None = None
) -> Iterator[tuple[int, Result]]:
    """Give the results of a task as they finish, each with the number of its item.

    Parameters
    ----------
    task : callable
        What is done with each item; other processes need one that pickles.
    items : mapping of int to object
        The items by number.
    executor : concurrent.futures.Executor, optional
        Where they are done; None does them here, one after the other. What has not begun is
        cancelled when the caller stops asking.

    Yields
    ------
    number, result

    Examples
    --------
    >>> sorted(as_finished(abs, {0: -1, 1: 2}))
    [(0, 1), (1, 2)]
    """
    if executor is None:
        for number, item in items.items():
            yield number, task(item)
        return
    futures = {executor.submit(task, item): number for number, item in items.items()}
    try:
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        for future in futures:
            future.cancel()
