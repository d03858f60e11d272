"""The Ray worker pool: every worker in its own actor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from teamnet.errors import RESUME, ActorLost, TeamnetError
from teamnet.team import executor
from teamnet.team.executor import silent
from teamnet.team.installation import check_installations, installation
from teamnet.team.ray_processes import Process, end_if_stopped, end_with_parent
from teamnet.team.ray_session import Lease
from teamnet.team.worker_pool import Pending

_START_SECONDS, _REPLACE_SECONDS = 120.0, 20.0
"""Limits for the start of the next actors; while other actors run, a start takes seconds."""
_BESIDE = "beside"
"""The concurrency group of an actor for calls that do not queue behind the others."""


class RayWorkerPool:
    """One Ray actor for each unit; every call first checks that the connection to Ray is still the leased one.

    Args:
        lease: on the connection.
        worker_class: a plain class, importable on every node.
        arguments: the constructor arguments of each worker.
        options: Ray's options for each actor, such as its node; all on the coordinator's node if left out.
        at_end: called once the actors have ended, unless they could not all be started.
        started: called with the number of actors that have started, whenever it grows.
    """

    def __init__(
        self, lease: Lease, worker_class: type, arguments: Sequence[tuple[Any, ...]],
        options: Sequence[dict[str, Any]] | None = None, *, at_end: Callable[[], None] = lambda: None,
        started: Callable[[int], None] | None = None,
    ) -> None:
        self.size = len(arguments)
        self._lease, self._at_end = lease, at_end
        here = NodeAffinitySchedulingStrategy(lease.node, soft=False)
        self._options = options or [{"num_cpus": 0, "scheduling_strategy": here}] * self.size
        self._arguments = arguments
        groups: dict[str, Any] = {"concurrency_groups": {_BESIDE: 1}}  # not in Ray's type hints
        self._actor_class: Any = ray.remote(max_restarts=0, **groups)(worker_class)
        self._actors: list[Any] = []
        self._processes: dict[int, Process] = {}
        try:
            with lease.using():
                self._actors += (self._start(number) for number in range(self.size))
                self._wait_until_ready(self._actors, started)
                self._check_installations()
        except BaseException:
            self._kill()
            raise

    def _start(self, number: int) -> Any:
        return self._actor_class.options(**self._options[number]).remote(*self._arguments[number])

    def _wait_until_ready(
        self, actors: Sequence[Any], started: Callable[[int], None] | None = None, within: float = _START_SECONDS
    ) -> None:
        waiting = [actor.__ray_call__.remote(end_with_parent) for actor in actors]
        numbers = {call: self._actors.index(actor) for call, actor in zip(waiting, actors, strict=True)}
        while waiting:
            ready, waiting = ray.wait(waiting, num_returns=min(8, len(waiting)), timeout=within)
            if not ready:
                raise ActorLost(
                    "team", expected=f"a new actor within {within:.0f} s", found="none",
                    remedy=f"Check the nodes of the cluster. {RESUME}",
                )
            for call, process in zip(ready, self.results(ready), strict=True):
                self._processes[numbers[call]] = process
            if started:
                started(self.size - len(waiting))

    def _check_installations(self) -> None:
        """Check one actor of each node; the workers of a private cluster have this process's files."""
        if self._lease.joined == "":
            return
        numbers = {node: number for number, (node, _) in self._processes.items()}
        waiting = [self._actors[number].__ray_call__.remote(installation) for number in numbers.values()]
        check_installations(dict(zip(numbers, self.results(waiting), strict=True)))

    def call(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Pending]:
        """See :class:`teamnet.team.worker_pool.WorkerPool`."""
        return self.call_some(method, range(self.size), arguments)

    def call_some(self, method: str, numbers: Sequence[int], arguments: Sequence[tuple[Any, ...]]) -> list[Pending]:
        """See :class:`teamnet.team.worker_pool.WorkerPool`."""
        with self._lease.using():
            return [
                getattr(self._actors[number], method).remote(*values)
                for number, values in zip(numbers, arguments, strict=True)
            ]

    def call_beside(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Pending]:
        """See :class:`teamnet.team.worker_pool.WorkerPool`."""
        with self._lease.using():
            return [
                getattr(actor, method)._remote(values, concurrency_group=_BESIDE)
                for actor, values in zip(self._actors, arguments, strict=True)
            ]

    def done(self, pending: Sequence[Pending], seconds: float) -> bool:
        """See :class:`teamnet.team.worker_pool.WorkerPool`."""
        with self._lease.using():
            return not ray.wait(list(pending), num_returns=len(pending), timeout=seconds)[1]

    def results(self, pending: Sequence[Pending]) -> list[Any]:
        """See :class:`teamnet.team.worker_pool.WorkerPool`."""
        try:
            with self._lease.using():
                return ray.get(list(pending), timeout=executor.SILENCE)
        except GetTimeoutError:
            raise silent(executor.SILENCE) from None
        except RayTaskError as error:
            cause = error.cause
            if isinstance(cause, TeamnetError):
                raise cause from None
            raise
        except RayError as error:
            raise ActorLost(
                "team", expected="all actors alive", found=str(error).splitlines()[0], remedy=RESUME
            ) from None

    def failed(self, pending: Sequence[Pending]) -> bool:
        """See :class:`teamnet.team.worker_pool.WorkerPool`."""
        with self._lease.using():
            for call in ray.wait(list(pending), num_returns=len(pending), timeout=0)[0]:
                try:
                    ray.get(call, timeout=1)
                except GetTimeoutError:
                    continue
                except RayError:
                    return True
        return False

    def replace_lost(self, patience: float) -> int:
        """See :class:`teamnet.team.worker_pool.WorkerPool`."""
        with self._lease.using():
            return self._replace_lost(patience)

    def _replace_lost(self, patience: float) -> int:
        asked = [actor.__ray_ready__.remote() for actor in self._actors]
        unanswered = set(ray.wait(asked, num_returns=self.size, timeout=patience)[1])
        lost = [number for number, call in enumerate(asked) if call in unanswered or self.failed([call])]
        if len(lost) == self.size > 1:
            raise ActorLost("team", expected="some actors alive", found="none", remedy=RESUME)
        for number in lost:
            self._end(number)
            self._actors[number] = self._start(number)
        self._wait_until_ready([self._actors[number] for number in lost], within=_REPLACE_SECONDS)
        return len(lost)

    def close(self) -> None:
        """See :class:`teamnet.team.worker_pool.WorkerPool`; if the connection has ended, so have the workers."""
        self._kill()
        at_end, self._at_end = self._at_end, lambda: None
        at_end()

    def _kill(self) -> None:
        for number in range(len(self._actors)):
            if self._lease.valid:
                self._end(number)
        self._actors = []

    def _end(self, number: int) -> None:
        with suppress(RayError):
            ray.kill(self._actors[number])
        if process := self._processes.pop(number, None):
            end_if_stopped(process)
