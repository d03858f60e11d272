"""The law of bad input: whatever is given ends in a documented error or in a right run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from hypothesis import HealthCheck, settings

from teamnet.errors import TeamnetError
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.training.run import Run

LOCAL = LaunchSpec("local")
LARGEST_MESSAGE = 5000
Answer = TypeVar("Answer")


def cases(number: int) -> settings:
    """So many generated cases, which may write to one folder in turn."""
    allowed = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=number, suppress_health_check=[*allowed, HealthCheck.large_base_example])


def obey(action: Callable[[], Answer]) -> tuple[Answer | None, TeamnetError | None]:
    """What an action returns, or the documented error that it ends in; anything else escapes."""
    try:
        return action(), None
    except TeamnetError as error:
        assert_documented(error)
        return None, error


def assert_documented(error: TeamnetError) -> None:
    """An error of a class of its own that says what was expected, what was found and how to mend it."""
    assert type(error) is not TeamnetError
    assert error.expected
    assert error.found
    assert error.mend.endswith((".", "?", "'", "\"", "play", "registry()")) or " " in error.mend, error.mend
    message = str(error)
    assert "expected " in message
    assert "; found " in message
    assert len(message) < LARGEST_MESSAGE, f"{len(message)} characters"


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
