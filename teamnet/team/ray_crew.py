"""The Ray shell: every worker in an actor of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from teamnet.errors import ActorLost, TeamnetError
from teamnet.team.crew import Pending


class RayCrew:
    """One Ray actor for each unit.

    Args:
        worker_class: a plain class, importable on every node.
        arguments: what each worker is made with.
        options: Ray's options for each actor, such as where it is; the coordinator's node for all if left out.
        at_end: called once the actors have ended, unless they could not all be started.
        started: called with the number of actors that are up, whenever it grows.
    """

    def __init__(
        self, worker_class: type, arguments: Sequence[tuple[Any, ...]], options: Sequence[dict[str, Any]] | None = None,
        *, at_end: Callable[[], None] = lambda: None, started: Callable[[int], None] | None = None,
    ) -> None:
        self.size = len(arguments)
        self._at_end = at_end
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        chosen = options or [{"num_cpus": 0, "scheduling_strategy": here}] * self.size
        actor_class = ray.remote(max_restarts=0)(worker_class)
        self._actors: list[Any] = [
            actor_class.options(**its).remote(*made_with) for its, made_with in zip(chosen, arguments, strict=True)
        ]
        try:
            self._wait_until_ready(started)
        except BaseException:
            self._kill()
            raise

    def _wait_until_ready(self, started: Callable[[int], None] | None) -> None:
        waiting = [actor.__ray_ready__.remote() for actor in self._actors]
        while waiting:
            ready, waiting = ray.wait(waiting, num_returns=min(8, len(waiting)), timeout=60)
            self.results(ready)
            if started:
                started(self.size - len(waiting))

    def call(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Pending]:
        """See :class:`teamnet.team.crew.Crew`."""
        return self.call_some(method, range(self.size), arguments)

    def call_some(self, method: str, numbers: Sequence[int], arguments: Sequence[tuple[Any, ...]]) -> list[Pending]:
        """See :class:`teamnet.team.crew.Crew`."""
        return [
            getattr(self._actors[number], method).remote(*its) for number, its in zip(numbers, arguments, strict=True)
        ]

    def done(self, pending: Sequence[Pending], seconds: float) -> bool:
        """See :class:`teamnet.team.crew.Crew`."""
        return not ray.wait(list(pending), num_returns=len(pending), timeout=seconds)[1]

    def results(self, pending: Sequence[Pending]) -> list[Any]:
        """See :class:`teamnet.team.crew.Crew`."""
        try:
            return ray.get(list(pending))
        except RayTaskError as error:
            cause = error.cause
            if isinstance(cause, TeamnetError):
                raise cause from None
            raise
        except RayActorError as error:
            raise ActorLost(
                "team", expected="all actors alive", found=str(error).splitlines()[0],
                mend="Continue from the last checkpoint with teamnet resume.",
            ) from None

    def failed(self, pending: Sequence[Pending]) -> bool:
        """See :class:`teamnet.team.crew.Crew`."""
        ended = ray.wait(list(pending), num_returns=len(pending), timeout=0)[0]
        for call in ended:
            try:
                ray.get(call, timeout=1)
            except (RayTaskError, RayActorError):
                return True
            except GetTimeoutError:
                continue
        return False

    def close(self) -> None:
        """See :class:`teamnet.team.crew.Crew`."""
        self._kill()
        self._at_end()

    def _kill(self) -> None:
        for actor in self._actors:
            ray.kill(actor)
