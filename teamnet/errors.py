"""The errors that teamnet raises: each says what was expected, what was found and how to fix it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

_SHOWN = 300

RESUME = "Continue from the last checkpoint: teamnet resume, or TeamAgent.load."
"""The remedy where a run has lost a process."""


class TeamnetError(Exception):
    """Base class of every error that teamnet raises on purpose.

    Args:
        where: the field, file, unit or step that the error is about.
        expected: what would have been right.
        found: what was there instead.
        remedy: what the reader can do about it.
    """

    def __init__(self, where: str, *, expected: str, found: str, remedy: str) -> None:
        self.where, self.expected, self.found, self.remedy = where, expected, found, remedy
        super().__init__(f"{where}: expected {expected}; found {found}. {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the way back from a Ray worker, where exceptions travel pickled."""
        return _rebuild, (type(self), self.where, self.expected, self.found, self.remedy)


def _rebuild(kind: type[TeamnetError], where: str, expected: str, found: str, remedy: str) -> TeamnetError:
    return kind(where, expected=expected, found=found, remedy=remedy)


class SpecError(TeamnetError):
    """A run's specification is refused: an unknown key, or a value that makes no sense."""


class EnvironmentRefused(TeamnetError):
    """An environment cannot be used: its spaces do not fit, it is not installed, or it misbehaves."""


class NumericalError(TeamnetError):
    """A NaN or an infinity appeared in an observation, a reward or an activation."""


class Diverged(NumericalError):
    """The learning itself has led to a NaN or an infinity, where observations and rewards were finite."""


class CheckpointError(TeamnetError):
    """A checkpoint or golden file is missing, damaged, of another spec or of a newer format."""


class ResourceError(TeamnetError):
    """The machine or the cluster cannot hold the run that is asked for."""


class ActorLost(TeamnetError):
    """An actor of the team, or an environment worker, died or stopped answering."""


class StepInterrupted(TeamnetError):
    """A step was ended by force, so that the units stand inside it; only a checkpoint leads back."""


class OperationFailed(TeamnetError):
    """An operation of a rule ended in an exception, or is none of the rule."""


class Closed(TeamnetError):
    """A run is used after it was closed."""


class InUse(TeamnetError):
    """A run is used by two threads at the same time."""


class LinkRefused(TeamnetError):
    """Who calls a node's relay, or answers there, is not of this run."""


class LinkLost(TeamnetError):
    """The connection between two nodes of a run broke."""


class Notice(UserWarning):
    """What a user may want to know about a run that is not refused, such as observations that are flattened."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence that names the known name nearest to ``name``, or lists them all when none is near."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}?" if close else f"Known are: {', '.join(known)}."


def shown(value: Any) -> str:
    """A value as messages show it: shortened, or named by its type if Python cannot write it."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, a very deep list
        return f"a {type(value).__name__} that is too large to be shown"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
