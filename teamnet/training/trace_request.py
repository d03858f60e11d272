"""A trace of a run that another process trains: the request and the answer are files in the run's folder."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from teamnet.errors import TeamnetError
from teamnet.training.atomic import write_atomically
from teamnet.training.run import Run
from teamnet.training.step_trace import StepTrace
from teamnet.training.task import Episode

REQUEST, ANSWER = ".trace-request.json", ".trace-answer.safetensors"
_LOOK_EVERY = 0.1


class NoAnswer(TeamnetError):
    """The process that trains a run has not answered a request."""


def ask(folder: Path, steps: int, seconds: float) -> StepTrace:
    """Have the process that trains the run in a folder trace its next steps.

    Args:
        folder: of the run.
        steps: how many.
        seconds: to wait for the answer.

    Raises:
        NoAnswer: it has not answered in time; perhaps the run has just ended.
        ResourceError: the folder cannot be written to.
    """
    (folder / ANSWER).unlink(missing_ok=True)
    write_atomically(folder / REQUEST, json.dumps({"steps": steps}).encode())
    deadline = time.monotonic() + seconds
    try:
        while not (folder / ANSWER).exists():
            if time.monotonic() > deadline:
                raise NoAnswer(
                    str(folder), expected=f"an answer of the run's process within {seconds:g} s", found="none",
                    remedy="Try again once the run has ended, or with fewer steps.",
                )
            time.sleep(_LOOK_EVERY)
        return _read((folder / ANSWER).read_bytes())
    finally:
        (folder / REQUEST).unlink(missing_ok=True)
        (folder / ANSWER).unlink(missing_ok=True)


def answer(folder: Path, run: Run) -> list[Episode]:
    """Do what a request asks for, if there is one; returns the episodes that ended meanwhile.

    Args:
        folder: of the run.
        run: between two steps.

    Raises:
        TeamnetError: see :meth:`teamnet.training.run.Run.trace`.
    """
    try:
        steps = int(json.loads((folder / REQUEST).read_bytes())["steps"])
    except (OSError, ValueError, KeyError, TypeError):  # none, or one that is not ours
        return []
    (folder / REQUEST).unlink(missing_ok=True)
    trace, ended = run.trace(steps)
    arrays = {f"unit{number}": np.ascontiguousarray(each) for number, each in enumerate(trace.units)}
    arrays["coordinator"] = np.ascontiguousarray(trace.coordinator)
    arrays["numbers"] = np.array([trace.first, *trace.nodes], np.int64)
    write_atomically(folder / ANSWER, save(arrays))
    return ended


def _read(content: bytes) -> StepTrace:
    arrays = load(content)
    first, *nodes = arrays["numbers"].tolist()
    return StepTrace(first, arrays["coordinator"], [arrays[f"unit{k}"] for k in range(len(nodes))], nodes)
