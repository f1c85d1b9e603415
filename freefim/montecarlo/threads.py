"""One BLAS thread while replicas are drawn.

The bits of a matrix product depend on the number of BLAS threads, and two threads on shared
cores can be many times slower than one.
"""

from threading import Lock

from threadpoolctl import threadpool_limits

__all__ = ["ONE_BLAS_THREAD"]


class _SharedLimit:
    """A limit on BLAS threads that lasts from its first holder in a process to its last.

    Separate limits would not do: a limit is global to the process, so a replica that ends in
    one Python thread would lift it from a replica that still runs in another.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._holders = 0
        self._limits: threadpool_limits | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._holders == 0:
                self._limits = threadpool_limits(1, user_api="blas")
            self._holders += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0 and self._limits is not None:
                self._limits.restore_original_limits()
                self._limits = None


ONE_BLAS_THREAD = _SharedLimit()
