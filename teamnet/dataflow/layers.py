"""Settings of the units of one layer and of the synapses that leave them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from teamnet.dataflow.slots import ALL_SENT, Messages
from teamnet.kernels.hidden import Function
from teamnet.kernels.unit_types import UNIT_TYPES, UnitType, UnitTypeName

if TYPE_CHECKING:
    from teamnet.dataflow.ports import Draft, SlotSpec


@dataclass(frozen=True)
class Rate:
    """A learning rate that changes linearly from ``start`` to ``end`` over the first ``steps`` environment steps."""

    start: float
    end: float
    steps: int = 0


@dataclass(frozen=True)
class Reader:
    """A layer that reads the activations of another one.

    Args:
        number: of the reading layer.
        first: column of its inputs at which the other layer's neurons begin.
        fan_in, size: its inputs and its neurons.
        rate: learning rate of its synapses.
        family, function, variance, temperature, choices: see :class:`LayerSpec`.
    """

    number: int
    first: int
    fan_in: int
    size: int
    rate: Rate
    family: UnitTypeName
    function: Function
    variance: float
    temperature: float
    choices: tuple[int, ...] = ()


class LayerRule(Protocol):
    """How the units of a layer learn; see :class:`teamnet.rules.rule.Rule`."""

    def slots(self, layer: LayerSpec) -> Iterable[SlotSpec]:
        """The slots that the units write besides their activations."""
        ...

    def steps(self, layer: LayerSpec) -> Iterable[Draft]:
        """The steps of the units in an environment step."""
        ...

    def free_steps(self, layer: LayerSpec) -> Iterable[Draft]:
        """The steps of the units if they run without a common tick."""
        ...

    def arrays(self) -> Mapping[str, Any]:
        """The private arrays that operations use, besides those that every unit has, by name."""
        ...

    def state(self) -> Mapping[str, Any]:
        """Those of them that units have with these settings."""
        ...

    def draws(self, layer: LayerSpec) -> int:
        """Samples that a unit draws in an environment step."""
        ...

    def mirrors(self, layer: LayerSpec) -> bool:
        """Whether a unit keeps a copy of the synapses that leave it."""
        ...

    def operations(self) -> Mapping[str, Any]:
        """The kernels of all operations by name."""
        ...

    def numbers(self) -> Mapping[str, float]:
        """The settings that operations can read."""
        ...

    @property
    def adam_epsilon(self) -> float:
        """The smallest denominator of Adam's updates."""
        ...

    @property
    def runs_free(self) -> bool:
        """Whether units run without a common tick, and so may be at different steps."""
        ...

    @property
    def outgoing(self) -> str:
        """The outgoing weights: a ``mirror`` of the weights above, weights of the unit's ``own``, or ``fixed`` ones."""
        ...

    @property
    def decay_of_weights(self) -> float:
        """The share by which each update decays every synapse between two layers."""
        ...


@dataclass(frozen=True)
class LayerSpec:
    """One layer of one team, with all settings of its units.

    Args:
        team: name of the team, ``"actor"`` or ``"critic"``.
        team_number: place of the team in the run, part of the key of its random streams.
        number: 1 for the first layer above the observation.
        depth: layers of the team; the last one's activation is the team's output.
        size: neurons.
        family: unit type, see :mod:`teamnet.kernels.unit_types`.
        function: hidden function ``f`` of Gaussian units; ``"linear"`` for Gaussian output.
        variance: of Gaussian units.
        temperature: of other units.
        trace_decay: discount times lambda.
        rate: learning rate of the incoming synapses.
        gated: whether the team is a critic, whose errors are multiplied by its output's gate.
        single_step: whether episodes have one step, so that units learn at once and keep no trace.
        rows: parallel environments.
        rule: how the layer learns, with its settings.
        exploration: exploration probability of hidden units in a step; units that do not explore take their mean.
        messages: how activations and errors are sent.
        sources: the layers whose activations it reads, in the order of its inputs; 0 is the observation. The layer
            below if left out; see :func:`linked`, as for the others.
        readers: the layers that read its activations.
        fan_in, fan_out: neurons of its sources and of its readers; ``fan_out`` is 0 for the output layer.
        choices: the categories of each agent of a categorical layer, ``size`` in sum; of one agent if left out.
        masked: whether the environment tells in each step which of the layer's categories are valid actions.
    """

    team: str
    team_number: int
    number: int
    depth: int
    size: int
    family: UnitTypeName
    function: Function
    variance: float
    temperature: float
    trace_decay: float
    rate: Rate
    gated: bool
    single_step: bool
    rows: int
    rule: LayerRule
    exploration: float = 1.0
    messages: Messages = ALL_SENT
    sources: tuple[int, ...] = ()
    readers: tuple[Reader, ...] = ()
    fan_in: int = 0
    fan_out: int = 0
    choices: tuple[int, ...] = ()
    masked: bool = False

    def __post_init__(self) -> None:
        if self.unit_type.one_agent and not self.choices:
            object.__setattr__(self, "choices", (self.size,))

    @property
    def group(self) -> tuple[str, int]:
        """All units of the layer, as the dataflow names them."""
        return self.team, self.number

    @property
    def is_first(self) -> bool:
        """Whether the layer reads the observation and nothing else."""
        return self.sources == (0,)

    @property
    def is_last(self) -> bool:
        """Whether the layer's activation is the team's output."""
        return self.number == self.depth

    @property
    def is_chained(self) -> bool:
        """Whether the layer reads the one below and nothing else."""
        return self.sources == (self.number - 1,)

    @property
    def only_reader(self) -> Reader | None:
        """The layer that reads this one, if there is exactly one."""
        return self.readers[0] if len(self.readers) == 1 else None

    @property
    def output_reads(self) -> bool:
        """Whether the team's output layer reads this one."""
        return any(reader.number == self.depth for reader in self.readers)

    @property
    def deviation(self) -> float:
        """The scale of activations: the standard deviation of Gaussian units, the temperature of others."""
        return math.sqrt(self.variance) if self.family == "gaussian" else self.temperature

    @property
    def unit_type(self) -> UnitType:
        """The distribution of the activation."""
        return UNIT_TYPES[self.family]


def linked(observation: int, layers: Sequence[LayerSpec]) -> list[LayerSpec]:
    """The layers of a team with their readers and the numbers of their inputs and outputs.

    Args:
        observation: numbers in an observation.
        layers: of one team, from the observation upwards.
    """
    layers = [replace(layer, sources=layer.sources or (layer.number - 1,)) for layer in layers]
    sizes = [observation, *(layer.size for layer in layers)]
    readers: dict[int, list[Reader]] = {layer.number: [] for layer in layers}
    found = []
    for layer in layers:
        fan_in = sum(sizes[source] for source in layer.sources)
        first = 0
        for source in layer.sources:
            if source:
                readers[source].append(Reader(
                    layer.number, first, fan_in, layer.size, layer.rate, layer.family, layer.function, layer.variance,
                    layer.temperature, layer.choices,
                ))
            first += sizes[source]
        found.append(replace(layer, fan_in=fan_in))
    return [
        replace(layer, readers=tuple(above), fan_out=sum(reader.size for reader in above))
        for layer, above in zip(found, readers.values(), strict=True)
    ]


@dataclass(frozen=True)
class UnitSpec:
    """Neurons ``start`` to ``stop - 1`` of a layer, which one agent computes."""

    layer: LayerSpec
    start: int
    stop: int
    seed: int

    @property
    def size(self) -> int:
        """Neurons of the unit."""
        return self.stop - self.start

    @property
    def name(self) -> str:
        """The unit's name in messages, for instance ``critic layer 2 neurons 0-31``."""
        return f"{self.layer.team} layer {self.layer.number} neurons {self.start}-{self.stop - 1}"
