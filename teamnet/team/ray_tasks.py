"""The Ray adapter for independent jobs: calls of a plain function, distributed over the cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from teamnet.errors import ResourceError, TeamnetError
from teamnet.team.ray_session import acquire
from teamnet.team.working_folder import continue_in, working_folder

_AHEAD = 2
"""Jobs submitted beyond the number of CPUs, so that no CPU is idle between two jobs."""
_LOOK_EVERY = 0.5


@dataclass(frozen=True)
class Job:
    """A call of a function that every node can import, with arguments that can be pickled."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Ended:
    """A job that has ended: its number, and either its value or its error message."""

    number: int
    value: Any = None
    error: str = ""


def run_jobs(
    jobs: Sequence[Job], *, address: str = "", most_at_once: int | None = None,
    waiting: Callable[[list[int]], None] = lambda running: None,
) -> Generator[Ended]:
    """Run all jobs, each on one CPU, and yield them as they end; a failed job does not stop the others.

    Args:
        jobs: what to run, started in this order.
        address: of a Ray cluster; empty for a private one on this machine.
        most_at_once: the most jobs that run at the same time, if fewer than the CPUs of the cluster.
        waiting: called about twice a second with the numbers of the running jobs.

    Raises:
        ResourceError: nothing answers at the address, or the cluster has no CPU.
        ActorLost: the connection to Ray has ended; jobs that have not ended are lost with it.
    """
    if not jobs:
        return
    lease, folder = acquire(address), working_folder()
    handles: dict[Any, int] = {}
    try:
        remote = ray.remote(num_cpus=1, max_retries=1)(_call)
        numbers = iter(range(len(jobs)))
        while True:
            with lease.using():
                cpus = _cpus()
                room = most_at_once or cpus + _AHEAD
                while len(handles) < room and (number := next(numbers, None)) is not None:
                    handles[remote.remote(jobs[number].function, jobs[number].arguments, folder)] = number
            if not handles:
                return
            waiting(list(handles.values())[: min(cpus, most_at_once or len(jobs))])
            with lease.using():
                done = ray.wait(list(handles), num_returns=1, timeout=_LOOK_EVERY)[0]
                ended = [_ended(handles.pop(handle), handle) for handle in done]
            yield from ended
    finally:
        if lease.valid:
            for handle in handles:
                ray.cancel(handle, force=True)
        lease.release()


def _call(function: Callable[..., Any], arguments: tuple[Any, ...], folder: str) -> Any:
    continue_in(folder)
    return function(*arguments)


def _ended(number: int, handle: Any) -> Ended:
    try:
        return Ended(number, ray.get(handle))
    except RayTaskError as error:
        documented = isinstance(error.cause, TeamnetError)  # then its message is enough, else report the traceback too
        return Ended(number, error=str(error.cause if documented else error))
    except RayError as error:
        return Ended(number, error=f"the process that ran it ended: {error}")


def _cpus() -> int:
    """CPUs of the cluster now; it may grow while jobs run."""
    count = int(ray.cluster_resources().get("CPU", 0))
    if count < 1:
        raise ResourceError(
            "the Ray cluster", expected="at least one CPU for the jobs", found="none",
            remedy="Add a node to it: ray start --address HEAD --num-cpus N",
        )
    return count
