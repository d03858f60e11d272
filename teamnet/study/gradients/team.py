"""The teams whose updates are compared: the multiplexer's, as published for MAP propagation, with any rule."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from teamnet.dataflow.layers import LayerSpec
from teamnet.errors import SpecError
from teamnet.rules.backpropagation import Backpropagation
from teamnet.rules.reinforce import Reinforce
from teamnet.rules.rule import Rule
from teamnet.spec.check import check_run
from teamnet.spec.files import from_plain
from teamnet.spec.presets import preset, published
from teamnet.spec.resolve import build_teams, fit_depth
from teamnet.spec.run import RunSpec
from teamnet.study.gradients.enumeration import can_enumerate, exact_gradient
from teamnet.study.gradients.updates import Moments, Parameters, measure_updates
from teamnet.team.local import LocalExecutor
from teamnet.team.partition import divide_all
from teamnet.team.state import merge
from teamnet.training.checkpoint import checkpoint_at, load_checkpoint
from teamnet.training.single_step import SingleStepTask, make_single_step_task

TASK = "multiplexer"
UNITS = ("gaussian", "bernoulli")
_PRECISION = 0.05
"""The standard error of the gradient, as a share of its length, below which sampling ends."""
_MOST_SAMPLES = 16_000_000
_OTHER_NOISE = 2**40
"""Added to a seed for noise that the updates do not have."""


def spec_of_team(hidden: Sequence[int], units: str, address_bits: int, rows: int, seed: int) -> RunSpec:
    """A run of the multiplexer whose hidden units are all of one type."""
    layers = () if units == "gaussian" else (f"hidden:units={units}",)
    spec = replace(
        published(TASK), rule=Reinforce(), hidden=tuple(hidden), layers=layers, address_bits=address_bits,
        num_envs=rows, seed=seed,
    )
    check_run(spec)
    return spec


def spec_of_run(path: Path, rows: int) -> tuple[RunSpec, Parameters]:
    """The spec and the parameters of a checkpoint, or of the newest one in the folder of a run.

    Raises:
        SpecError: it is not a run of the multiplexer.
        CheckpointError: there is no checkpoint, or it is damaged.
    """
    state, about = load_checkpoint(checkpoint_at(path))
    spec = from_plain(RunSpec, about["spec"], execute=False)
    if spec.task != TASK:
        raise SpecError("run", expected=f"a run of the {TASK}", found=spec.task, remedy="Give another run.")
    spec = replace(spec, num_envs=rows)
    return spec, parameters_in(layers_of(spec), state)


def layers_of(spec: RunSpec) -> list[LayerSpec]:
    """The layers of the team, with learning rates of 0, units that always explore, and REINFORCE as their rule.

    The output is of the type that the run's own rule has.
    """
    spec = fit_depth(spec, make_single_step_task(spec).interface)
    if spec.actor is None:
        raise SpecError("actor", expected="a team that acts", found="none", remedy="Use another run.")
    still = (0.0,) * len(spec.actor.rates)
    spec = replace(spec, exploration=1.0, actor=replace(spec.actor, exploration=None, rates=still, final_rates=still))
    return with_rule(build_teams(spec, make_single_step_task(spec).interface)[0], Reinforce())


def with_rule(layers: Sequence[LayerSpec], rule: Rule) -> list[LayerSpec]:
    """The same team with another rule."""
    return [replace(layer, rule=rule.in_team(policy=True)) for layer in layers]


def rule_of(method: str) -> Rule:
    """The rule of a preset, or one of a user's own."""
    return preset(TASK, method).rule


def trains(rule: Rule, spec: RunSpec, layers: Sequence[LayerSpec]) -> bool:
    """Whether a rule can train the types of a team's hidden units.

    Raises:
        SpecError: it cannot train tasks of one step at all, or changes weights beside its updates.
    """
    rule.check(replace(spec, rule=rule), single_step=True)
    if rule.decay_of_weights:
        raise SpecError(
            "weight_decay", expected="0", found=str(rule.decay_of_weights),
            remedy="Leave it out: the parameters must stay as they are while their updates are measured.",
        )
    return all(layer.family in rule.hidden_types for layer in layers[:-1])


def initial_parameters(layers: Sequence[LayerSpec], seed: int) -> Parameters:
    """What a run begins with."""
    units = divide_all([list(layers)], "layer", seed)
    return parameters_in(layers, merge(units, LocalExecutor([list(layers)], units).snapshot()))


def parameters_in(layers: Sequence[LayerSpec], state: dict[str, np.ndarray]) -> Parameters:
    """The parameters in the state of a run."""
    names = [f"{layer.team}.{layer.number}" for layer in layers]
    return [np.vstack([state[f"{name}.incoming.value"], state[f"{name}.biases.value"]]) for name in names]


def gradient_of(spec: RunSpec, layers: Sequence[LayerSpec], parameters: Parameters, samples: int) -> list[Moments]:
    """The gradient of the expected reward: exact by enumeration where that is possible, else a mean over samples.

    Both REINFORCE and, for Gaussian hidden units, backpropagation through the sample have the gradient as their mean;
    the latter takes fewer samples.

    Args:
        spec: of the team.
        layers: of the team.
        parameters: of each layer.
        samples: how many there are at first; four times as many until the error is small enough.
    """
    if can_enumerate(layers):
        observations, rewards = every_sample(spec, layers[0].fan_in)
        gradient = exact_gradient(layers, parameters, observations, rewards)[1]
        return [Moments(array, 0.0, 1) for array in gradient]
    smooth = all(layer.family == "gaussian" for layer in layers[:-1])
    task, learners = make_single_step_task(spec), with_rule(layers, Backpropagation() if smooth else Reinforce())
    task.draw_from(spec.seed)  # other observations than those of the updates
    while True:
        found = measure_updates(learners, parameters, task, -(-samples // spec.num_envs), _OTHER_NOISE + spec.seed)
        squared = sum(float((layer.mean**2).sum()) - layer.error for layer in found)
        if sum(layer.error for layer in found) <= _PRECISION**2 * squared or samples >= _MOST_SAMPLES:
            return found
        samples *= 4


def every_sample(spec: RunSpec, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """All observations ``(n, inputs)`` of the task, and the reward ``(n, 2)`` of each action."""
    observations = np.array(list(itertools.product((-1.0, 1.0), repeat=inputs)))
    task: SingleStepTask = make_single_step_task(replace(spec, num_envs=len(observations)))
    task.outcome.observation[:] = observations
    choices = [np.tile(row, (len(observations), 1)) for row in np.eye(2)]
    return observations, np.stack([task.answer(chosen).copy() for chosen in choices], 1)
