"""What the units of one layer are told about themselves and about the synapses that leave them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from teamnet.dataflow.ports import Draft, SlotSpec

Family = Literal["gaussian", "categorical"]


@dataclass(frozen=True)
class Rate:
    """A learning rate that goes linearly from ``start`` to ``end`` over the first ``steps`` environment steps."""

    start: float
    end: float
    steps: int = 0


class LayerRule(Protocol):
    """How the units of a layer learn; see :class:`teamnet.rules.rule.Rule`."""

    def slots(self, layer: LayerSpec) -> Iterable[SlotSpec]:
        """The slots that the units write beside their activations."""
        ...

    def steps(self, layer: LayerSpec) -> Iterable[Draft]:
        """What the units do in an environment step."""
        ...

    def free_steps(self, layer: LayerSpec) -> Iterable[Draft]:
        """What the units do where they run without a common tick."""
        ...

    def arrays(self) -> Mapping[str, Any]:
        """The private arrays that operations know, beside those that every unit has, by name."""
        ...

    def state(self) -> Mapping[str, Any]:
        """Those of them that units have with these settings."""
        ...

    def draws(self, layer: LayerSpec) -> int:
        """Samples that a unit takes in an environment step."""
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
    def may_run_free(self) -> bool:
        """Whether units may run without a common tick, and so be at different steps."""
        ...

    @property
    def outgoing(self) -> str:
        """What stands for the weights above: a ``mirror`` of them, weights of the unit's ``own``, or ``fixed`` ones."""
        ...

    @property
    def weight_decay(self) -> float:
        """The share of every synapse between two layers that each update forgets."""
        ...


@dataclass(frozen=True)
class LayerSpec:
    """One layer of one team, with everything that its units need to know.

    Args:
        team: name of the team, ``"actor"`` or ``"critic"``.
        team_number: place of the team in the run, part of the key of its random streams.
        number: 1 for the first layer above the observation.
        depth: layers of the team; the last one's activation is the team's output.
        fan_in, size, fan_out: neurons below, in and above this layer (``fan_out`` is 0 for the output layer).
        family: distribution of the activation.
        function: hidden function ``f``; ``"linear"`` for Gaussian output.
        variance: of the Gaussian activation.
        temperature: of the categorical activation.
        trace_decay: discount times lambda.
        rate, rate_above: learning rates of the incoming and of the outgoing synapses.
        gated: whether the team is a critic, whose errors pass its output's gate.
        single_step: whether episodes have one step, so that units learn at once and keep no trace.
        rows: parallel environments.
        rule: how the layer learns, with its settings.
        exploring: share of the hidden units that explore in a step; the others take their mean.
        wire: dtype of messages between layers.
        error_feedback: whether what rounding leaves out of a message is added to the next one.
        tolerance: threshold below which numbers are not sent again, as a share of the activation's standard deviation.
    """

    team: str
    team_number: int
    number: int
    depth: int
    fan_in: int
    size: int
    fan_out: int
    family: Family
    function: str
    variance: float
    temperature: float
    trace_decay: float
    rate: Rate
    rate_above: Rate
    gated: bool
    single_step: bool
    rows: int
    rule: LayerRule
    exploring: float = 1.0
    wire: str = "float64"
    error_feedback: bool = False
    tolerance: float = 0.0

    @property
    def group(self) -> tuple[str, int]:
        """All units of the layer, as the dataflow names them."""
        return self.team, self.number

    @property
    def is_first(self) -> bool:
        """Whether the layer reads the observation."""
        return self.number == 1

    @property
    def is_last(self) -> bool:
        """Whether the layer's activation is the team's output."""
        return self.number == self.depth

    @property
    def deviation(self) -> float:
        """What activations are measured in: the standard deviation, of a choice its temperature."""
        return self.temperature if self.family == "categorical" else math.sqrt(self.variance)


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
        """How messages call the unit, for instance ``critic layer 2 neurons 0-31``."""
        return f"{self.layer.team} layer {self.layer.number} neurons {self.start}-{self.stop - 1}"
