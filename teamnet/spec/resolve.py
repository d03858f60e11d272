"""From a run's spec and its spaces to the layers of its teams."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, cast

from teamnet.dataflow.layers import LayerSpec, Rate, linked
from teamnet.errors import SpecError, shown
from teamnet.kernels.unit_types import UnitTypeName
from teamnet.rules.loading import with_settings
from teamnet.rules.rule import UnreadRule
from teamnet.spec.check import check_depth
from teamnet.spec.functions import function_of
from teamnet.spec.layer_options import options_of_layer
from teamnet.spec.presets import presets_of
from teamnet.spec.run import RunSpec, TeamSpec, spec_of_team


@dataclass(frozen=True)
class Interface:
    """The observations and actions of a task.

    Args:
        observation_size: numbers in an observation.
        action_size: actions to choose from, or numbers in a continuous action.
        action_family: ``categorical`` for a choice or several, ``bernoulli`` for bits, ``gaussian`` for a continuous
            action.
        single_step: whether every episode has one step.
        choices: of a categorical action, the categories of each agent, ``action_size`` in sum; empty for one agent.
    """

    observation_size: int
    action_size: int
    action_family: UnitTypeName
    single_step: bool = False
    choices: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", tuple(self.choices))  # a list, where it was read from JSON


def fit_depth(spec: RunSpec, interface: Interface) -> RunSpec:
    """The spec with one variance and one rate for each layer that has them.

    Presets are made for two hidden layers. At another depth their values are spread: the first layer keeps the first
    value, the output layer the last, and every layer between takes the middle one. Values that were given must fit.

    Raises:
        SpecError: given values do not match the layers one by one.
    """
    def fit(name: str, team: TeamSpec | None, family: UnitTypeName) -> TeamSpec | None:
        if team is None:
            return None
        layers = len(spec.hidden) + 1
        gaussian_layers = layers if family == "gaussian" else layers - 1
        lengths = {"variances": gaussian_layers, "rates": layers, "final_rates": layers}
        spread = {
            field: _spread(getattr(team, field), length, output=length == layers)
            for field, length in lengths.items()
            if len(getattr(team, field)) != length
            and any(getattr(team, field) == getattr(getattr(usual, name), field, None) for usual in presets_of(spec))
        }
        team = replace(team, **spread)
        check_depth(name, team, layers, gaussian_layers)
        return team

    return replace(
        spec,
        actor=fit("actor", spec.actor, interface.action_family),
        critic=fit("critic", spec.critic, "gaussian"),
    )


def _spread(values: tuple[float, ...], length: int, *, output: bool) -> tuple[float, ...]:
    """``length`` values from those of a preset; ``output`` says whether the last one is the output layer's."""
    if len(values) in (1, length) or length == 0:  # one value says nothing of layers between
        return values[:length]
    if length == 1:
        return values[-1:] if output else values[:1]
    return (values[0], *[values[1]] * (length - 2), values[-1] if output else values[1])


def build_teams(spec: RunSpec, interface: Interface) -> list[list[LayerSpec]]:
    """The layers of every team of a run, from the observation upwards; the actor first.

    Raises:
        SpecError: the scale of the observation has another length.
    """
    if spec.observation_scale and len(spec.observation_scale) != interface.observation_size:
        raise SpecError(
            "observation_scale", expected=f"{interface.observation_size} numbers, as an observation has",
            found=shown(spec.observation_scale), remedy="Give one for each number; --observation-scale alone is none.",
        )
    teams, size, family = [], interface.action_size, interface.action_family
    if spec.actor:
        teams.append(_layers(spec, interface, spec.actor, "actor", 0, size, family))
    if spec.critic:
        teams.append(_layers(spec, interface, spec.critic, "critic", 1, 1, "gaussian"))
    return teams


def _layers(
    spec: RunSpec, interface: Interface, team: TeamSpec, name: Literal["actor", "critic"], number: int, outputs: int,
    family: UnitTypeName,
) -> list[LayerSpec]:
    spec = spec_of_team(spec, team)
    sizes = (interface.observation_size, *spec.hidden, outputs)
    last = len(sizes) - 1
    chooses = name == "actor" and family == "categorical"
    rule, family = spec.rule.in_team(policy=chooses), spec.rule.policy_type if chooses else family
    layers = []
    for layer in range(1, last + 1):
        own = options_of_layer(spec.layers, name, layer, last)
        hidden, start, end = layer < last, team.rates[layer - 1], team.final_rates[layer - 1]
        layers.append(LayerSpec(
            team=name, team_number=number, number=layer, depth=last, size=sizes[layer],
            family=cast(UnitTypeName, own.units) if hidden else family,
            function=function_of(spec, own.function or spec.function) if hidden else "linear",
            variance=team.variances[layer - 1] if layer <= len(team.variances) else 1.0,
            temperature=own.temperature if hidden and own.units != "gaussian" else team.temperature,
            trace_decay=spec.discount * team.trace_lambda, rate=Rate(start, end, spec.anneal_steps),
            gated=name == "critic" and spec.signal == "target", single_step=interface.single_step, rows=spec.num_envs,
            rule=rule if isinstance(rule, UnreadRule) else with_settings(rule, own.settings),
            exploration=spec.exploration, messages=spec.messages, sources=own.reads,
            choices=() if hidden or not chooses else interface.choices,
            masked=spec.mask_actions and chooses and not hidden,
        ))
    return linked(interface.observation_size, layers)
