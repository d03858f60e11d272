"""Checks of a rule's behaviour: with every choice of its settings, and with the TD error of the step before."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator

import numpy as np

from teamnet.rules.rule import Rule
from teamnet.study.check.bench import TASKS, CheckFailed, Teams, differing, local, state_of, teams_of
from teamnet.team.local import LocalExecutor
from teamnet.team.rule_check import check_rules
from teamnet.team.rule_state import drive
from teamnet.team.state import State, split
from teamnet.values import choices

_STEPS = 10


def every_choice(rule: Rule) -> str:
    """With each other value of the settings that have a few: the static checks, and same bits in blocks of neurons."""
    tried = list(_other_choices(rule))
    for name, changed in tried:
        for kind in TASKS:
            teams = teams_of(changed, kind)
            check_rules(teams)
            states = []
            for grain in ("layer", "block:3"):
                executor = local(teams, grain)
                drive(executor, teams, range(_STEPS))
                states.append(state_of(executor, teams, grain))
            if names := differing(*states):
                raise CheckFailed(f"with {name}, a task of {kind}: {', '.join(names[:3])} differ in blocks of neurons")
    return ", ".join(name for name, _ in tried) or "no setting is a choice"


def _other_choices(rule: Rule) -> Iterator[tuple[str, Rule]]:
    hints = typing.get_type_hints(type(rule))
    for name, value in rule.settings().items():
        for choice in (False, True) if hints[name] is bool else choices(type(rule), name):
            if choice != value:
                yield f"{name}={choice}", dataclasses.replace(rule, **{name: choice})


def learns_from_the_step_before(rule: Rule) -> str:
    """Whether parameters after a step depend on the observation of that step.

    In a task of many steps the TD error of a step is about the action before it, so that they should not: a rule that
    remembers before it learns assigns the TD error to the wrong action. A rule may do so on purpose; so this is a
    remark, not a failure.
    """
    teams = teams_of(rule, "many steps")
    first = local(teams)
    drive(first, teams, range(_STEPS))
    state = state_of(first, teams, "layer")
    base, changed_input = (_after_a_step(teams, state, seed) for seed in (0, 1))
    changed = [name for name in differing(base, changed_input) if name.endswith((".incoming.value", ".biases.value"))]
    if not changed:
        return "parameters do not depend on the observation of the same step"
    return f"REMARK: {', '.join(changed[:2])} depend on the observation of the same step; learn before you remember?"


def _after_a_step(teams: Teams, state: State, seed: int) -> State:
    """The state after one more step, with a TD error that is the same for every observation."""
    executor: LocalExecutor = local(teams)
    executor.restore(split([unit.spec for unit in executor.units], state), _STEPS)
    layer = teams[0][0]
    executor.act(np.random.default_rng(seed).standard_normal((layer.rows, layer.fan_in)), np.ones(layer.rows))
    executor.learn(np.linspace(-1.0, 1.0, layer.rows))
    return state_of(executor, teams, "layer")
