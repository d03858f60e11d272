"""Environments in processes of their own, which step at the same time.

Each worker is forked, so that environments that cannot be pickled, and factories without a name, work; it has some of
the rows. A row's calls are messages over a pipe; an answer has the number of its call, so that one that was given up is
skipped. The result is that of one process, bit for bit.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import pickle
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

import gymnasium

from teamnet.errors import RESUME, ActorLost, SpecError, TeamnetError
from teamnet.team.lasting_thread import LastingThread
from teamnet.training.endings import ENDING_SIGNALS
from teamnet.training.environment_place import Here
from teamnet.training.misbehaviour import noted
from teamnet.training.structure import Structure
from teamnet.training.watch import Watch

_END_WITH_PARENT = 1
_SECONDS = 5.0
"""For a worker to end by itself."""
_FORK = multiprocessing.get_context("fork")

Make = Callable[[], tuple[gymnasium.Env[Any, Any], Structure]]


class There:
    """An environment in a worker.

    Args:
        pipe: to the worker.
        row: of the environment.
        name: of the worker, for messages.
    """

    def __init__(self, pipe: Connection, row: int, name: str) -> None:
        self._pipe, self._row, self._name = pipe, row, name
        self._number, self._reading = 0, False
        self.observation_space, self.action_space, self.structure = self.call("describe")

    def send(self, method: str, *arguments: Any) -> None:
        """See :class:`teamnet.training.environment_place.Place`."""
        self._number += 1
        try:
            self._pipe.send((self._row, self._number, method, arguments))
        except OSError as error:
            raise self._lost(error) from error

    def receive(self) -> Any:
        """See :class:`teamnet.training.environment_place.Place`."""
        while True:
            if self._reading:  # an exception has ended a call inside a message
                raise self._lost(EOFError())
            self._reading = True
            try:
                row, number, result, error = self._pipe.recv()
            except (OSError, EOFError) as lost:
                raise self._lost(lost) from lost
            self._reading = False
            if (row, number) == (self._row, self._number):
                if error is not None:
                    raise error
                return result

    def call(self, method: str, *arguments: Any) -> Any:
        """Both at once."""
        self.send(method, *arguments)
        return self.receive()

    def _lost(self, error: Exception) -> ActorLost:
        return ActorLost(
            f"environment worker {self._name}", expected="a process that answers",
            found=f"none: {type(error).__name__}", remedy=RESUME,
        )


class EnvironmentWorkers:
    """Processes with the environments of a run; each row has a pipe of its own.

    Args:
        count: of processes.
        rows: of the run.
        make: makes an environment with flat spaces.
        watch: ends the making of one that takes too long.

    Attributes:
        places: the environments, one for each row.

    Raises:
        SpecError: the process is a daemonic one of ``multiprocessing``.
        TeamnetError: an environment cannot be made.
    """

    def __init__(self, count: int, rows: int, make: Make, watch: Watch) -> None:
        if multiprocessing.current_process().daemon:
            raise SpecError(
                "env_workers", expected="a process that may start others", found="one of multiprocessing.Pool",
                remedy="Leave env_workers out there, or use concurrent.futures.ProcessPoolExecutor.",
            )
        pipes = [_FORK.Pipe() for _ in range(rows)]
        self._processes, self._thread = [], LastingThread()
        self.places: list[There] = []
        self._pipes = [ours for ours, _ in pipes]
        try:
            for number in range(count):
                own = range(number, rows, count)
                process = _FORK.Process(
                    target=_work, args=([pipes[row][1] for row in own], pipes, make), daemon=True,
                    name=f"environments {number}",
                )
                self._thread.call(process.start)
                self._processes.append(process)
            for _, theirs in pipes:
                theirs.close()
            self.places = [watch.ask(There, ours, row, str(row % count)) for row, (ours, _) in enumerate(pipes)]
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close all environments, and end the processes."""
        for pipe in self._pipes:
            with suppress(OSError):  # the worker has ended
                pipe.send(None)
            pipe.close()
        for process in self._processes:
            process.join(_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()
        self._thread.end()


def _work(own: Sequence[Connection], pipes: Sequence[tuple[Connection, Connection]], make: Make) -> None:
    """Answer the calls for some rows, until their pipes are closed."""
    gc.freeze()
    ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL)
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # the coordinator is told, and closes the pipes
    for ours, theirs in pipes:
        ours.close()
        if theirs not in own:
            theirs.close()
    places: dict[int, Here] = {}
    left = list(own)
    while left:
        for pipe in wait(left):
            assert isinstance(pipe, Connection)
            try:
                call = pipe.recv()
            except (EOFError, OSError):
                call = None
            if call is None:  # other processes may hold the pipe open, so that its end is a message too
                left.remove(pipe)
                continue
            row, number, method, arguments = call
            result, error = None, None
            try:
                result = _answer(places, row, make, method, arguments)
            except Exception as raised:
                noted(raised)
                error = raised
            pipe.send((row, number, result, error and _sendable(error)))
    for place in places.values():
        with suppress(Exception):  # the coordinator has closed its end
            place.close()


def _answer(places: dict[int, Here], row: int, make: Make, method: str, arguments: tuple[Any, ...]) -> Any:
    if method == "describe":
        environment, structure = make()
        places[row] = Here(environment)
        return environment.observation_space, environment.action_space, structure
    if method == "step":
        return (*places[row].step(*arguments)[:4], None)  # its info may be large, and nothing reads it
    return getattr(places[row], method)(*arguments)


def _sendable(error: Exception) -> Exception:
    """An exception that survives the pipe: another one with its text if it does not."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # pickling an exception of a user's class can raise anything
        plain = RuntimeError(f"{type(error).__name__}: {error}")
        for note in getattr(error, "__notes__", ()):
            plain.add_note(note)
        return plain
    return error if isinstance(error, TeamnetError) else error.with_traceback(None)
