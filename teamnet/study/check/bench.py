"""Small teams that learn with the checked rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from teamnet.dataflow.layers import LayerSpec
from teamnet.rules.rule import Rule
from teamnet.spec.presets import preset_of_rule
from teamnet.spec.resolve import Interface, build_teams, fit_depth
from teamnet.team.executor import Executor
from teamnet.team.local import LocalExecutor
from teamnet.team.partition import divide_all
from teamnet.team.state import State, merge

Teams = Sequence[Sequence[LayerSpec]]
_HIDDEN, _ROWS = (8, 6), 2
TASKS = {
    "many steps": ("cartpole", Interface(4, 3, "categorical")),
    "one step": ("multiplexer", Interface(6, 2, "categorical", single_step=True)),
}
"""Kinds of tasks: a preset, and its interface to the teams."""


class CheckFailed(Exception):
    """A check has found an error in a rule."""


def teams_of(rule: Rule, kind: str) -> list[list[LayerSpec]]:
    """Small teams for a kind of task, two parallel environments each."""
    task, interface = TASKS[kind]
    spec = replace(preset_of_rule(type(rule), task), rule=rule, hidden=_HIDDEN, num_envs=_ROWS)
    return build_teams(fit_depth(spec, interface), interface)


def local(teams: Teams, grain: str = "layer", *, interpret: bool = False) -> LocalExecutor:
    """An executor of the teams in this process."""
    return LocalExecutor(teams, divide_all(teams, grain, 0), interpret=interpret)


def state_of(executor: Executor, teams: Teams, grain: str) -> State:
    """The state of all layers.

    Raises:
        Diverged: a number is not finite.
    """
    return merge(divide_all(teams, grain, 0), executor.snapshot())


def differing(one: State, other: State, tolerance: float = 0.0) -> list[str]:
    """The names of the arrays in which two states differ."""
    return [
        name for name, array in one.items()
        if not (np.array_equal(array, other[name]) if tolerance == 0.0 else
                np.allclose(array, other[name], rtol=tolerance, atol=tolerance))
    ]
