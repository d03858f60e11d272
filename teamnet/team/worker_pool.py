"""Worker pools: the same calls whether workers are threads of this process or Ray actors."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import Any, Protocol

Pending = Any
"""The result of a call that may still be running."""


class WorkerPool(Protocol):
    """A sequence of workers, one for each unit."""

    size: int

    def call(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Pending]:
        """Call ``method`` of every worker with its own arguments, without waiting."""
        ...

    def call_some(self, method: str, numbers: Sequence[int], arguments: Sequence[tuple[Any, ...]]) -> list[Pending]:
        """Like :meth:`call`, for the workers with these numbers."""
        ...

    def call_beside(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Pending]:
        """Like :meth:`call`, concurrently with the running calls of the workers, which continue."""
        ...

    def done(self, pending: Sequence[Pending], seconds: float) -> bool:
        """Wait up to ``seconds``; returns whether all calls have ended, with a result or an error."""
        ...

    def results(self, pending: Sequence[Pending]) -> list[Any]:
        """Wait for calls to end and return what they returned.

        Raises:
            ActorLost: a worker died, or did not answer for :data:`teamnet.team.executor.SILENCE` seconds.
        """
        ...

    def failed(self, pending: Sequence[Pending]) -> bool:
        """Whether any of these calls has already ended with an error."""
        ...

    def replace_lost(self, patience: float) -> int:
        """Replace workers that have died or do not answer.

        Args:
            patience: seconds that a worker has to answer.

        Returns:
            How many are new; these are in their initial state.

        Raises:
            ActorLost: a new worker died, too.
        """
        ...

    def close(self) -> None:
        """End the workers."""
        ...


class ThreadPool:
    """Workers in threads of this process: the board's protocol without Ray, for tests and debugging."""

    def __init__(self, worker_class: type, arguments: Sequence[tuple[Any, ...]]) -> None:
        self.size = len(arguments)
        self._workers = [worker_class(*values) for values in arguments]
        self._threads = [ThreadPoolExecutor(1) for _ in arguments]
        self._beside = ThreadPoolExecutor(1)

    def call(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Pending]:
        """See :class:`WorkerPool`."""
        return self.call_some(method, range(self.size), arguments)

    def call_some(self, method: str, numbers: Sequence[int], arguments: Sequence[tuple[Any, ...]]) -> list[Pending]:
        """See :class:`WorkerPool`."""
        return [
            self._threads[number].submit(getattr(self._workers[number], method), *values)
            for number, values in zip(numbers, arguments, strict=True)
        ]

    def call_beside(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Pending]:
        """See :class:`WorkerPool`."""
        return [
            self._beside.submit(getattr(worker, method), *values)
            for worker, values in zip(self._workers, arguments, strict=True)
        ]

    def done(self, pending: Sequence[Future[Any]], seconds: float) -> bool:
        """See :class:`WorkerPool`."""
        return not wait_for(pending, seconds).not_done

    def results(self, pending: Sequence[Future[Any]]) -> list[Any]:
        """See :class:`WorkerPool`."""
        return [future.result() for future in pending]

    def failed(self, pending: Sequence[Future[Any]]) -> bool:
        """See :class:`WorkerPool`."""
        return any(future.done() and future.exception() for future in pending)

    def replace_lost(self, patience: float) -> int:
        """See :class:`WorkerPool`; a thread does not die."""
        return 0

    def close(self) -> None:
        """See :class:`WorkerPool`."""
        for thread in (*self._threads, self._beside):
            thread.shutdown()
