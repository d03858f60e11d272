"""The specification of a run. Spec and seed determine its returns and its parameters, wherever it runs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from teamnet.rules.map_propagation import MapPropagation

SINGLE_STEP_TASKS = ("multiplexer", "regression")
"""Tasks whose episodes have one step."""


@dataclass(frozen=True)
class TeamSpec:
    """Hyperparameters of one team; tuples go from the first layer upwards.

    Args:
        variances: of the Gaussian layers: every hidden layer and, if it is Gaussian, the output.
        rates: learning rate of each layer at the start.
        final_rates: learning rate of each layer once annealed.
        trace_lambda: decay of the eligibility traces beyond the discount.
        temperature: of a categorical output.
        rule: how this team learns, where it differs from the run; ``None`` for the run's, as with the next three.
        exploring: share of its hidden units that explore in a step.
        schedule: how it settles.
        settle_steps: settle steps or sweeps in one environment step.
    """

    variances: tuple[float, ...]
    rates: tuple[float, ...]
    final_rates: tuple[float, ...]
    trace_lambda: float = 0.0
    temperature: float = 1.0
    rule: str | None = None
    exploring: float | None = None
    schedule: str | None = None
    settle_steps: int | None = None


@dataclass(frozen=True)
class RunSpec:
    """Everything that determines what a run computes.

    Args:
        task: a preset's name or a Gymnasium id.
        rule: map, map-async, reinforce or backprop, or a rule of your own: FILE.py, FILE.py:Class or module:Class.
        settings: of a rule of your own: names and values, as texts.
        source: the text of its file, which is kept with the run.
        seed: of all random streams.
        env_steps: when the run is over, or with the episodes; the first that is reached, ``None`` for no such bound.
        episodes: when the run is over, or with the environment steps.
        num_envs: parallel environments, the rows of a batch.
        hidden: neurons of the hidden layers; may be empty.
        function: hidden function: softplus, relu, leaky-relu, linear, logistic (or sigmoid) or tanh; or one of your
            own, FILE.py:NAME.
        layers: what is different in single layers, as [TEAM.]LAYER:NAME=VALUE: 2:function=tanh, hidden:units=bernoulli
            (or sign, or gaussian), 2:temperature=0.5 (of such units), critic.3:reads=2,0 (a skip connection from the
            observation, 0), or a setting of the rule, 1:step_size=0.3. LAYER is a number, ``hidden`` or ``output``.
        function_files: path and text of the files of your own functions, which are kept with the run.
        schedule: how MAP propagation settles: ``jacobi`` (all layers at once, as published) or ``sweeps`` (errors
            downwards, means upwards) or ``descents`` (the same without the last pass upwards).
        settle_steps: settle steps or sweeps in one environment step.
        acting_steps: of asynchronous MAP propagation: ticks in which the output is resampled.
        free_running: asynchronous MAP propagation without a common tick: every actor uses the newest values on the
            board; not reproducible bit for bit.
        exploring: share of the hidden units that explore in a step; the others take their mean (and under REINFORCE
            get no update). Backpropagation with 0 has deterministic hidden units.
        entropy: weight of the policy's entropy beside its return; backpropagation only.
        signal: of the regression task: ``target`` (the error is known) or ``reward`` (only how good it was).
        exchange_every: settle steps between two exchanges with the neighbours; in between, units of the schedule
            ``jacobi`` settle towards the values that those sent last.
        feedback: the weights that errors are sent down through: ``mirror`` (a copy of the weights above that gets the
            same updates), ``kolen-pollack`` (the same with initial values of its own, which weight decay brings
            together), ``random`` (fixed weights) or ``shipped`` (the unit above sends the products of its errors and
            its own weights, so that there are no copies; whole layers only).
        forgetting: weight decay: the share of every weight between two layers that each update removes.
        wire: dtype of the activations and errors that are sent to neighbours: ``float64``, ``float32``, ``bfloat16``,
            or ``int8`` with a scale for each message. Units continue with the rounded values.
        error_feedback: the rounding error of a message is added to the next one of the same step.
        tolerance: send threshold: where a neuron's activation has moved by no more than this share of its standard
            deviation since it was last sent (its error by no more than this over the deviation), both keep that value,
            and nothing is sent. 0 sends everything.
        td_error: how units get the TD error and a critic's gate: ``broadcast`` (the coordinator and the output send it
            to every unit) or ``passed-down`` (the coordinator sends it to the output units, and each layer to the one
            below, with its errors; for the schedules ``sweeps`` and ``descents``). Changes no bit.
        step_size: of settling, as a share of each layer's variance.
        discount: of future rewards, for one environment step.
        anneal_steps: environment steps (of the whole batch) over which the rates go to their final values.
        reward_limit: rewards are clipped to this size before learning; ``None`` for not.
        action_scale: a continuous action is ``clip(scale * output + offset)``; ``None`` spans the space.
        action_offset: of that; ``None`` for the middle of the space.
        address_bits: of the multiplexer task.
        halvings: how often a run with ``--out`` that diverges resumes from its newest checkpoint, with half the step
            size and half of all learning rates, before it ends with the error.
        actor: the team that acts; single-step tasks have one of the two, the others both.
        critic: the team that estimates the value.
    """

    task: str
    rule: str = MapPropagation.name
    settings: tuple[tuple[str, str], ...] = ()
    source: str = ""
    seed: int = 0
    env_steps: int | None = None
    episodes: int | None = None
    num_envs: int = 1
    hidden: tuple[int, ...] = (64, 32)
    function: str = "softplus"
    layers: tuple[str, ...] = ()
    function_files: tuple[tuple[str, str], ...] = ()
    schedule: str = "jacobi"
    settle_steps: int = 20
    acting_steps: int = 20
    free_running: bool = False
    exploring: float = 1.0
    entropy: float = 0.0
    signal: str = "target"
    exchange_every: int = 1
    feedback: str = "mirror"
    forgetting: float = 0.0
    wire: str = "float64"
    error_feedback: bool = False
    tolerance: float = 0.0
    td_error: str = "broadcast"
    step_size: float = 0.5
    discount: float = 0.98
    anneal_steps: int = 0
    reward_limit: float | None = None
    action_scale: float | None = None
    action_offset: float | None = None
    address_bits: int = 5
    halvings: int = 0
    actor: TeamSpec | None = None
    critic: TeamSpec | None = None


KEPT_TEXTS = ("settings", "source", "function_files")
"""Fields of a run that follow from others: what a user's rule and functions are made of."""


@dataclass(frozen=True)
class LaunchSpec:
    """Where a run runs; no value here changes a bit of its result (but for ``grain`` with messages of ``int8``).

    Args:
        backend: ``ray`` (each unit an actor) or ``local`` (in this process, without Ray).
        transport: ``board`` (shared memory) or ``ray`` (actor calls).
        grain: ``layer``, ``block:K`` or ``neuron``: what one unit is.
        address: of a Ray cluster; empty for ``$RAY_ADDRESS``, or a private one on this machine.
        placement: on which nodes of it: ``pack``, ``spread``, ``by-team``, ``by-layer``, or a map of teams or layers to
            addresses, for instance ``actor=10.0.0.1,critic.2=10.0.0.2``.
        wait: seconds to wait until the cluster can hold the run; 0 refuses it at once.
        link_latency: seconds by which an emulated link between two nodes is late; for studies of slower networks.
        link_bandwidth: bytes per second that an emulated link carries in each direction; 0 for no limit.
        env_patience: seconds that an environment has for an answer, after which the run ends; 0 for as long as it
            takes.
        interpret: operations run as plain Python on NumPy arrays, for breakpoints and prints; in this process only,
            slow, and equal to the compiled form to about 1e-9.
    """

    backend: str = "ray"
    transport: str = "board"
    grain: str = "layer"
    address: str = ""
    placement: str = "pack"
    wait: float = 0.0
    link_latency: float = 0.0
    link_bandwidth: float = 0.0
    env_patience: float = 300.0
    interpret: bool = False


def halved(spec: RunSpec) -> RunSpec:
    """The run with half the step size, half of all learning rates, and one halving less to go."""

    def slower(team: TeamSpec | None) -> TeamSpec | None:
        if team is None:
            return None
        rates, final_rates = (tuple(rate / 2 for rate in rates) for rates in (team.rates, team.final_rates))
        return replace(team, rates=rates, final_rates=final_rates)

    return replace(
        spec, step_size=spec.step_size / 2, halvings=spec.halvings - 1,
        actor=slower(spec.actor), critic=slower(spec.critic),
    )


def spec_of_team(spec: RunSpec, team: TeamSpec) -> RunSpec:
    """The run as a team sees it: with the team's own rule, exploration and settling."""
    names = ("rule", "exploring", "schedule", "settle_steps")
    return replace(spec, **{name: value for name in names if (value := getattr(team, name)) is not None})
