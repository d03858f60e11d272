"""The six tasks of the paper with its hyperparameters (arXiv 2010.07893, appendix; official configuration files)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from teamnet.errors import SpecError, nearest
from teamnet.spec.check import check_choice
from teamnet.spec.files import shown
from teamnet.spec.run import RunSpec, TeamSpec

ENVIRONMENTS = {
    "cartpole": "CartPole-v1",
    "acrobot": "Acrobot-v1",
    "lunarlander": "LunarLander-v3",
    "mountaincar": "MountainCarContinuous-v0",
}
"""The presets that are Gymnasium environments."""

SINGLE_STEP_TASKS = ("multiplexer", "regression")
"""The presets that are tasks of our own, in which every sample is an episode of one step."""

_CARTPOLE = RunSpec(
    "cartpole", episodes=1000, anneal_steps=50_000,
    actor=TeamSpec((0.03, 0.1), (1e-2, 1e-5, 1e-6), (1e-3, 1e-6, 1e-8), 0.95, 2.0),
    critic=TeamSpec((0.03, 0.1, 0.1), (2e-2, 2e-5, 2e-6), (2e-3, 2e-6, 2e-7), 0.95),
)


def _constant(
    variances: tuple[float, ...], rates: tuple[float, ...], trace_lambda: float, temperature: float = 1.0
) -> TeamSpec:
    return TeamSpec(variances, rates, rates, trace_lambda, temperature)


PRESETS = {
    "cartpole": _CARTPOLE,
    "acrobot": RunSpec(
        "acrobot", episodes=500, anneal_steps=100_000,
        actor=replace(_CARTPOLE.actor, trace_lambda=0.97, temperature=4.0) if _CARTPOLE.actor else None,
        critic=replace(_CARTPOLE.critic, variances=(0.06, 0.2, 0.2), trace_lambda=0.97) if _CARTPOLE.critic else None,
    ),
    "lunarlander": RunSpec(
        "lunarlander", episodes=2500,
        actor=_constant((0.06, 0.2), (4e-3, 4e-6, 4e-8), 0.97, 8.0),
        critic=_constant((0.003, 0.01, 0.01), (1e-2, 1e-5, 1e-7), 0.97),
    ),
    "mountaincar": RunSpec(
        "mountaincar", episodes=500, reward_limit=5.0, action_scale=2.0, action_offset=1.0,
        actor=_constant((0.03, 0.1, 0.5), (4e-3, 4e-6, 4e-8), 0.97),
        critic=_constant((0.003, 0.01, 0.05), (1e-2, 1e-5, 1e-6), 0.97),
    ),
    "multiplexer": RunSpec(
        "multiplexer", env_steps=4_000_000, num_envs=128, actor=_constant((0.3, 1.0), (4e-2, 4e-5, 4e-6), 0.0)
    ),
    "regression": RunSpec(
        "regression", env_steps=1_000_000, num_envs=128,
        critic=_constant((0.0075, 0.025, 0.025), (6e-2, 6e-5, 6e-6), 0.0),
    ),
}


class _Exploration(NamedTuple):
    """Hyperparameters of units that explore by themselves.

    Args:
        rates: of the actor's layers.
        critic: factor of the critic's rates.
        variance: factor of MAP propagation's variances.
        temperature: factor of MAP propagation's temperature.
        trace_lambda: of both teams; that of MAP propagation if left out.
    """

    rates: tuple[float, float, float] = (1.8e-2, 5.4e-4, 1.8e-4)
    critic: float = 1.0
    variance: float = 3.0
    temperature: float = 0.5
    trace_lambda: float | None = None


_LANDING = _Exploration((9.8e-3, 3.5e-4, 1.1e-4), 2.4, 0.11, 1.4, 0.9)
_SWINGING = _Exploration((1.3e-2, 7.8e-4, 2.3e-4), 9.2, 0.15, 1.25, 0.9)
_ALL_EXPLORE = {
    "acrobot": _Exploration((1.8e-2, 5.4e-4, 1.8e-4), critic=3.0),
    "lunarlander": _LANDING,
    "mountaincar": _Exploration((3.6e-3, 0.2 * 5.4e-4, 0.2 * 1.8e-4), critic=3.0),
}
_SOME_EXPLORE = {
    "cartpole": _Exploration((4.2e-3, 1e-3, 2.4e-4), 2.2, 7.0, 0.54, 0.9),
    "acrobot": _SWINGING,
    "lunarlander": _LANDING,
    "mountaincar": _ALL_EXPLORE["mountaincar"],
}
"""By random searches, of all units and of a part of them."""


def _reinforce(spec: RunSpec, exploring: float) -> RunSpec:
    """Wide exploration, faster upper layers, and a critic that learns by backpropagation (DEVIATIONS 15)."""
    actor, critic = spec.actor, spec.critic
    if actor is None or critic is None:
        return replace(spec, rule="reinforce", exploring=exploring)
    its = (_ALL_EXPLORE if exploring == 1.0 else _SOME_EXPLORE).get(spec.task, _Exploration())
    value_rates = tuple(its.critic * rate for rate in (3.4e-3, 3.4e-6, 3.4e-7))
    variances = tuple(its.variance * variance for variance in actor.variances)
    if spec.task == "mountaincar":
        variances = (0.03, 0.1, 0.1)  # every bit of exploration costs reward there
    return replace(
        spec, rule="reinforce", exploring=exploring,
        actor=replace(
            actor, variances=variances, rates=its.rates, final_rates=its.rates,
            temperature=its.temperature * actor.temperature, trace_lambda=its.trace_lambda or actor.trace_lambda,
        ),
        critic=replace(
            critic, rule="backprop", exploring=0.0, rates=value_rates, final_rates=value_rates,
            trace_lambda=its.trace_lambda or critic.trace_lambda,
        ),
    )


_LUNARLANDER = {"anneal_steps": 600_000, "discount": 0.99}
"""A longer horizon: landing pays a hundred steps after one has learned not to crash."""
_SAME = (1.0, 1.0, 1.0)
_FACTORS = {
    "cartpole": ((1.5, 1.5, 1.5), (1.5, 1.5, 1.5)),
    "acrobot": ((1.0, 5.0, 20.0), (1.0, 5.0, 20.0)),  # else some runs give up an action
    "lunarlander": ((2.0, 2.0, 2.0), (0.2, 0.2, 0.2)),
}
"""Factors of the published rates, layer by layer, at the start and at the end."""


def _tuned(spec: RunSpec) -> RunSpec:
    """Two sweeps, and rates that suit them."""
    start, end = _FACTORS.get(spec.task, (_SAME, _SAME))

    def rescale(team: TeamSpec | None) -> TeamSpec | None:
        if team is None:
            return None
        rates = tuple(factor * rate for factor, rate in zip(start, team.rates, strict=True))
        final_rates = tuple(factor * rate for factor, rate in zip(end, team.final_rates, strict=True))
        return replace(team, rates=rates, final_rates=final_rates)

    spec = replace(spec, schedule="sweeps", settle_steps=2, actor=rescale(spec.actor), critic=rescale(spec.critic))
    return replace(spec, **_LUNARLANDER) if spec.task == "lunarlander" else spec


METHODS: dict[str, Callable[[RunSpec], RunSpec]] = {
    "map": lambda spec: spec,
    "map-async": lambda spec: replace(spec, rule="map-async"),
    "backprop": lambda spec: replace(spec, rule="backprop", exploring=0.0),
    "reinforce": lambda spec: _reinforce(spec, exploring=1.0),
    "reinforce-part": lambda spec: _reinforce(spec, exploring=0.3),
    "tuned": _tuned,
    "frugal": lambda spec: replace(_tuned(spec), schedule="descents"),
}
"""What ``--preset`` offers: the published hyperparameters of MAP propagation, those of the other rules, and our own.

``frugal`` is ``tuned`` without the last way up of each step.
"""


def method_of(rule: str) -> str:
    """The preset that goes with a rule; that of MAP propagation for a rule without one of its own."""
    return rule if rule in METHODS else "map"


def preset(task: str, method: str = "map") -> RunSpec:
    """The spec of a preset, or for a Gymnasium id the hyperparameters of CartPole for 500 episodes.

    Args:
        task: a preset's name or a Gymnasium id.
        method: one of ``METHODS``.

    Raises:
        SpecError: the task is neither a preset nor looks like a Gymnasium id, or the method is unknown.
    """
    check_choice("preset", method, tuple(METHODS))
    return METHODS[method](_published(task))


def _published(task: str) -> RunSpec:
    if not isinstance(task, str):
        raise SpecError("task", expected="a name", found=shown(task), mend=nearest("", PRESETS))
    if task in PRESETS:
        return PRESETS[task]
    for name, environment in ENVIRONMENTS.items():
        if task == environment:
            return PRESETS[name]
    if "-v" in task or ":" in task or "/" in task:
        return replace(PRESETS["cartpole"], task=task, episodes=500)
    raise SpecError(
        "task", expected="a preset or a Gymnasium id such as CartPole-v1", found=repr(task), mend=nearest(task, PRESETS)
    )


def environment_id(task: str) -> str:
    """The Gymnasium id of a task that is not single-step."""
    return ENVIRONMENTS.get(task, task)
