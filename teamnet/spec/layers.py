"""What the units of one layer are told about themselves and about the synapses that leave them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Family = Literal["gaussian", "categorical"]


@dataclass(frozen=True)
class Rate:
    """A learning rate that goes linearly from ``start`` to ``end`` over the first ``steps`` environment steps."""

    start: float
    end: float
    steps: int = 0


@dataclass(frozen=True)
class LayerSpec:
    """One layer of one team, with everything that its units need to know.

    Args:
        team: name of the team, ``"actor"`` or ``"critic"``.
        team_number: place of the team in the run, part of the key of its random streams.
        number: 1 for the first layer above the observation.
        fan_in, size, fan_out: neurons below, in and above this layer (``fan_out`` is 0 for the output layer).
        family: distribution of the activation.
        function: hidden function ``f``; ``"linear"`` for Gaussian output.
        variance: of the Gaussian activation.
        temperature: of the categorical activation.
        step_size: of settling, as a share of the variance.
        settle_steps: settle steps, sweeps or ticks in one environment step; 0 is REINFORCE.
        trace_decay: discount times lambda.
        rate, rate_above: learning rates of the incoming and of the outgoing synapses.
        gated: whether the team is a critic, whose errors pass its output's gate.
        single_step: whether episodes have one step, so that units learn at once and keep no trace.
        rows: parallel environments.
        schedule: how the units work together in a step, a module of ``units.schedules``: ``jacobi``, ``sweeps``,
            ``descents``, ``chain`` or ``ticks``.
        acting_steps: ticks of acting, for the schedule ``ticks``.
        exploring: share of the hidden units that explore in a step; the others take their mean.
        entropy: weight of the policy's entropy beside its return.
        exchange_every: settle steps between two exchanges with the neighbours, for the schedule ``jacobi``.
        feedback: what errors come down through: ``mirror``, ``kolen-pollack``, ``random`` or ``shipped``.
        forgetting: the share of a synapse between two layers that each update forgets.
        wire: how activations and errors are said to neighbours.
        error_feedback: whether what a message left out is added to the next one.
        tolerance: by how much a number that has settled may still move; see :class:`teamnet.spec.run.RunSpec`.
        td_error: how the TD error reaches the units: ``broadcast``, or ``passed-down`` with the errors.
    """

    team: str
    team_number: int
    number: int
    fan_in: int
    size: int
    fan_out: int
    family: Family
    function: str
    variance: float
    temperature: float
    step_size: float
    settle_steps: int
    trace_decay: float
    rate: Rate
    rate_above: Rate
    gated: bool
    single_step: bool
    rows: int
    schedule: str = "jacobi"
    acting_steps: int = 0
    exploring: float = 1.0
    entropy: float = 0.0
    exchange_every: int = 1
    feedback: str = "mirror"
    forgetting: float = 0.0
    wire: str = "float64"
    error_feedback: bool = False
    tolerance: float = 0.0
    td_error: str = "broadcast"

    @property
    def channels(self) -> int:
        """Channels of errors: a second one carries the gradient of the entropy."""
        return 2 if self.entropy > 0.0 else 1

    @property
    def ships(self) -> bool:
        """Whether units say the products of their errors and synapses, instead of errors to those who mirror these."""
        return self.feedback == "shipped"

    @property
    def error_size(self) -> int:
        """Numbers of a row that the layer's error activations say: one for each of its neurons, or for those below."""
        return self.fan_in if self.ships else self.size

    @property
    def passes_down(self) -> bool:
        """Whether errors carry what is global, the TD error and a critic's gate, from the output units down."""
        return self.td_error == "passed-down"

    @property
    def is_told_from_above(self) -> bool:
        """Whether what is global comes with the errors of the layer above."""
        return self.passes_down and not self.is_last

    @property
    def signals(self) -> int:
        """Numbers of a row that come with a TD error: itself, and whether the row keeps its trace."""
        return 1 if self.single_step else 2

    @property
    def begins_anew(self) -> bool:
        """Whether units need to know at a step's beginning which rows begin an episode: their values go on else."""
        return self.schedule == "ticks"

    @property
    def draws(self) -> int:
        """Samples that a unit takes in one environment step."""
        if self.schedule == "ticks":
            return (1 if self.gated else self.acting_steps) if self.is_last else 0
        return 1

    @property
    def is_first(self) -> bool:
        """Whether the layer reads the observation."""
        return self.number == 1

    @property
    def is_last(self) -> bool:
        """Whether the layer's activation is the team's output."""
        return self.fan_out == 0


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
