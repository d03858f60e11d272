"""The law of bad input: whatever is given ends in a documented error or in a right run."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import numpy as np
from hypothesis import HealthCheck, settings

from teamnet import errors
from teamnet.errors import TeamnetError
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.training.run import Run

LOCAL = LaunchSpec("local")
LARGEST_MESSAGE = 5000
UNKNOWN = object()
"""Stands for a value that a test does not know."""
DOCUMENTED = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TeamnetError)}
DOCUMENTED.remove(TeamnetError)
Answer = TypeVar("Answer")
_BEGINNING = 8
_VERBS = {
    "add", "calibrate", "change", "check", "choose", "continue", "correct", "declare", "derive", "enlarge", "fix",
    "free", "give", "install", "leave", "let", "list", "load", "look", "lower", "make", "mend", "move", "name", "put",
    "raise", "remove", "restore", "resume", "return", "run", "set", "start", "stop", "take", "try", "use", "vary",
    "wait", "wrap", "write",
}
_NAMED = (
    r"(?<![\w-])--[a-z]|\bteamnet [a-z]|\bpip install\b|\bray (start|status)\b|"
    r"^(Did you mean|Known are:|Those are:) "
)


def cases(number: int) -> settings:
    """So many generated cases, which may write to one folder in turn."""
    allowed = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=number, suppress_health_check=[*allowed, HealthCheck.large_base_example])


def obey(
    action: Callable[[], Answer], where: Collection[str] = (), value: Any = UNKNOWN
) -> tuple[Answer | None, TeamnetError | None]:
    """What an action returns, or the documented error that it ends in; anything else escapes.

    Args:
        action: what is tried.
        where: names of what was given (fields, files, environments), one of which the error must be about.
        value: the one that was given, if only one can be wrong; the error must show it.
    """
    try:
        return action(), None
    except TeamnetError as error:
        assert_documented(error, where, value)
        return None, error


def assert_documented(error: TeamnetError, where: Collection[str] = (), value: Any = UNKNOWN) -> None:
    """An error of a class of its own whose fields say where it is, what was expected and found, and what to do."""
    assert type(error) in DOCUMENTED, type(error)
    for field in (error.where, error.expected, error.found, error.remedy):
        assert field.strip(), vars(error)
        assert field in str(error)
    assert not where or any(name in error.where for name in where), f"{error.where!r} is none of {where}"
    assert value is UNKNOWN or shows(error.found, value), f"{error.found!r} does not show {value!r:.100}"
    assert is_remedy(error.remedy), error.remedy
    assert len(str(error)) < LARGEST_MESSAGE, f"{len(str(error))} characters"


def shows(text: str, value: Any) -> bool:
    """Whether a text has a value, the beginning of it, a part of it or its type."""
    try:
        written = repr(value)
    except (ValueError, RecursionError):  # too many digits or too deep for Python
        written = type(value).__name__
    return written[:_BEGINNING] in text or text[:_BEGINNING] in written or type(value).__name__ in text


def is_remedy(text: str) -> bool:
    """Whether a text says what to do: a clause begins with a verb, or it names an option, a command or known names."""
    clauses = [clause.split() for clause in re.split(r"[.:;,]\s|\bor\s", text)]
    verbs = any(words[0].strip("`'.").lower() in _VERBS for words in clauses if words)
    return verbs or re.search(_NAMED, text) is not None


def run_to_the_end(spec: RunSpec) -> dict[str, Any]:
    """Run a spec in this process and hold its result against what the spec says; returns the summary."""
    run = Run(spec, LOCAL)
    try:
        episodes = []
        while not run.done:
            episodes += run.advance()
        summary, state, task = run.summary(), run.state(), run.task
    finally:
        run.close()
    assert all(np.isfinite(array).all() for array in state.values())
    assert {name for name in state if name.endswith(".incoming.value")} == {
        f"{team[0].team}.{layer.number}.incoming.value" for team in run.teams for layer in team
    }
    steps = task.env_steps
    by_steps = spec.env_steps is not None and spec.env_steps <= steps < spec.env_steps + spec.num_envs
    by_episodes = spec.episodes is not None and spec.episodes <= task.episodes < spec.episodes + spec.num_envs
    assert by_steps or by_episodes, f"{steps} steps and {task.episodes} episodes of {spec}"
    if not task.interface.single_step:
        assert len(episodes) == task.episodes
        assert sum(episode.length for episode in episodes) <= steps
        assert sum(episode.total for episode in episodes) == task.return_sum
    return summary


def assert_right(spec: RunSpec) -> dict[str, Any]:
    """Run a spec twice: both runs end where the spec says, with the same digest and mean return."""
    first, second = run_to_the_end(spec), run_to_the_end(spec)
    for name in ("digest", "mean_return", "env_steps", "episodes"):
        assert first[name] == second[name], name
    return first
