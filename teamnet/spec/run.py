"""The specification of a run. Spec and seed determine its returns and its parameters, wherever it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from teamnet.dataflow.slots import ALL_SENT, Messages
from teamnet.rules.map_propagation import MapPropagation
from teamnet.rules.rule import Rule

SINGLE_STEP_TASKS = ("multiplexer", "regression")
"""Tasks whose episodes have one step."""


_RULE = MapPropagation()


@dataclass(frozen=True)
class TeamSpec:
    """Hyperparameters of one team; tuples go from the first layer upwards.

    Args:
        variances: of the Gaussian layers: every hidden layer and, if it is Gaussian, the output.
        rates: learning rate of each layer at the start.
        final_rates: learning rate of each layer once annealed.
        trace_lambda: decay of the eligibility traces beyond the discount.
        temperature: of a categorical output.
        rule: how this team learns, where it differs from the run; ``None`` for the run's. Its settings are options too,
            such as --critic.settle-steps.
        exploration: share of its hidden units that explore in a step; ``None`` for the run's.
    """

    variances: tuple[float, ...]
    rates: tuple[float, ...]
    final_rates: tuple[float, ...]
    trace_lambda: float = 0.0
    temperature: float = 1.0
    rule: Rule | None = None
    exploration: float | None = None


@dataclass(frozen=True)
class RunSpec:
    """Everything that determines what a run computes.

    Args:
        task: a preset's name, a Gymnasium id, or an environment's class or factory as module:Class or FILE.py:Class.
        rule: how its units learn, with the settings of the rule.
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
        exploration: share of the hidden units that explore in a step; the others take their mean (and under REINFORCE
            get no update). Backpropagation with 0 has deterministic hidden units.
        signal: of the regression task: ``target`` (the error is known) or ``reward`` (only how good it was).
        messages: how activations and errors are sent.
        discount: of future rewards, for one environment step.
        anneal_steps: environment steps (of the whole batch) over which the rates go to their final values.
        reward_limit: rewards are clipped to this size before learning; ``None`` for not.
        action_scale: a continuous action is ``clip(scale * output + offset)``; ``None`` spans the space.
        action_offset: of that; ``None`` for the middle of the space.
        address_bits: of the multiplexer task.
        env_kwargs: arguments of the environment, as NAME=VALUE: is_slippery=False map_name=8x8.
        wrappers: of the environment, the innermost first: module:Class, or module:Class(NAME=VALUE, ...).
        max_episode_steps: environment steps after which an episode is truncated; ``None`` for the environment's own
            limit.
        observation_scale: each number of an observation is multiplied by its number here, in the order of the
            observation; empty for none.
        normalise_observations: subtract the running mean of each number of the observations, and divide by its
            deviation; checkpoints keep both, and policies use them.
        normalise_rewards: divide rewards by the running deviation of their discounted sum before learning; returns are
            reported as the environment gives them.
        mask_actions: choose valid actions only, which the environment tells in ``info["action_mask"]``.
        divergence_retries: how often a run with ``--out`` that diverges resumes from its newest checkpoint, with half
            the step size and half of all learning rates, before it ends with the error.
        actor: the team that acts; single-step tasks have one of the two, the others both.
        critic: the team that estimates the value.
    """

    task: str
    rule: Rule = _RULE
    seed: int = 0
    env_steps: int | None = None
    episodes: int | None = None
    num_envs: int = 1
    hidden: tuple[int, ...] = (64, 32)
    function: str = "softplus"
    layers: tuple[str, ...] = ()
    function_files: tuple[tuple[str, str], ...] = ()
    exploration: float = 1.0
    signal: str = "target"
    messages: Messages = ALL_SENT
    discount: float = 0.98
    anneal_steps: int = 0
    reward_limit: float | None = None
    action_scale: float | None = None
    action_offset: float | None = None
    address_bits: int = 5
    env_kwargs: tuple[str, ...] = ()
    wrappers: tuple[str, ...] = ()
    max_episode_steps: int | None = None
    observation_scale: tuple[float, ...] = ()
    normalise_observations: bool = False
    normalise_rewards: bool = False
    mask_actions: bool = False
    divergence_retries: int = 0
    actor: TeamSpec | None = None
    critic: TeamSpec | None = None

    @property
    def teams(self) -> dict[str, TeamSpec]:
        """The teams that the run has, by name."""
        teams = {"actor": self.actor, "critic": self.critic}
        return {name: team for name, team in teams.items() if team is not None}

    @property
    def rules(self) -> list[Rule]:
        """The rules of its teams."""
        return [team.rule or self.rule for team in self.teams.values()]


USUAL_RULE = MapPropagation.name
"""The name of the rule, and of the preset, of a run that names none."""


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
        max_nodes: how many nodes of it the placement may use, the coordinator's first; 0 for all.
        pin: how units are placed on the processors of their node: ``auto`` (pinned, by team and then by layers that
            alternate, with a core each if there are enough; unpinned while another process uses a core), ``none``, or a
            map of teams or layers to processors, for instance ``actor=0,critic=1``.
        wait: seconds to wait until the cluster can hold the run; 0 refuses it after 3 seconds.
        link_latency: seconds by which an emulated link between two nodes is late; for studies of slower networks.
        link_bandwidth: bytes per second that an emulated link carries in each direction; 0 for no limit.
        env_patience: seconds that an environment has for an answer, after which the run ends; 0 for as long as it
            takes.
        env_workers: processes that step the environments of a batch at the same time, each some of the rows; 0 steps
            them one after the other in this process, which is faster where a step takes less than some 0.1 ms.
        interpret: operations run as plain Python on NumPy arrays, for breakpoints and prints; in this process only,
            slow, and equal to the compiled form to about 1e-9.
    """

    backend: str = "ray"
    transport: str = "board"
    grain: str = "layer"
    address: str = ""
    placement: str = "pack"
    max_nodes: int = 0
    pin: str = "auto"
    wait: float = 0.0
    link_latency: float = 0.0
    link_bandwidth: float = 0.0
    env_patience: float = 300.0
    env_workers: int = 0
    interpret: bool = False


def at_end(done: Mapping[str, Any], *, env_steps: int | None, episodes: int | None) -> bool:
    """Whether a run that has done so many ``env_steps`` and ``episodes`` has reached one of its ends."""
    ends = {"env_steps": env_steps, "episodes": episodes}
    return any(end is not None and done.get(name, 0) >= end for name, end in ends.items())


def slowed(spec: RunSpec) -> RunSpec:
    """The run after a divergence: smaller steps, half of all learning rates, and one retry less."""

    def slower(team: TeamSpec) -> TeamSpec:
        rates, final_rates = (tuple(rate / 2 for rate in rates) for rates in (team.rates, team.final_rates))
        return replace(team, rates=rates, final_rates=final_rates, rule=team.rule and team.rule.slowed())

    teams = {name: slower(team) for name, team in spec.teams.items()}
    return replace(spec, rule=spec.rule.slowed(), divergence_retries=spec.divergence_retries - 1, **teams)


def spec_of_team(spec: RunSpec, team: TeamSpec) -> RunSpec:
    """The run as a team sees it: with the team's own rule and exploration."""
    names = ("rule", "exploration")
    return replace(spec, **{name: value for name in names if (value := getattr(team, name)) is not None})
