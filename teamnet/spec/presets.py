"""The six tasks of the paper with its hyperparameters (arXiv 2010.07893, appendix; official configuration files)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from teamnet.errors import SpecError, TeamnetError, nearest, shown
from teamnet.kernels.user_file import line_of, source_of
from teamnet.rules.loading import find_rule, is_reference
from teamnet.rules.registry import built_in_rules
from teamnet.rules.rule import Preset, Rule
from teamnet.spec.environment_options import UNNAMED
from teamnet.spec.run import SINGLE_STEP_TASKS, USUAL_RULE, RunSpec, TeamSpec
from teamnet.values import check_choice

ENVIRONMENTS = {
    "cartpole": "CartPole-v1",
    "acrobot": "Acrobot-v1",
    "lunarlander": "LunarLander-v3",
    "mountaincar": "MountainCarContinuous-v0",
}
"""The presets that are Gymnasium environments."""


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


METHODS: dict[str, Preset] = {
    name: make for rule in built_in_rules().values() for name, make in rule.presets.items()
}
"""What ``--preset`` offers, from the rules of this package."""


def method_of(rule: str) -> str:
    """The preset that goes with a rule, which for a rule of a user's own is the rule; of the usual rule for none."""
    name = rule or USUAL_RULE
    kind = find_rule(name)
    return next(iter(kind.presets)) if name in built_in_rules() else name


def check_method(option: str, method: str) -> None:
    """Refuse what is neither a preset nor looks like a rule of a user's own.

    Args:
        option: that gave it, for the message.
        method: its name.

    Raises:
        SpecError: naming the option.
    """
    if method not in METHODS and not (isinstance(method, str) and is_reference(method)):
        check_choice(option, method, tuple(METHODS))


def digests_of_methods(methods: Iterable[str]) -> dict[str, dict[str, str]]:
    """The SHA-256 of the files of users' own rules among methods, as ``sha256``; nothing if there are none.

    Raises:
        SpecError: there is no such rule, or its file has a mistake.
    """
    sources = {name: source_of(find_rule(name)) for name in methods if name not in METHODS}
    found = {name: source.digest for name, source in sources.items() if source}
    return {"sha256": found} if found else {}


def preset(task: str, method: str = USUAL_RULE) -> RunSpec:
    """The spec of a preset, or for a Gymnasium id the hyperparameters of CartPole for 500 episodes.

    Args:
        task: a preset's name or a Gymnasium id.
        method: one of ``METHODS``, or a rule of a user's own, with the values of its first preset.

    Raises:
        SpecError: the task is neither a preset nor looks like a Gymnasium id, or the method is unknown.
    """
    check_method("preset", method)
    return METHODS[method](published(task)) if method in METHODS else preset_of_rule(find_rule(method), task)


def preset_of_rule(rule: type[Rule], task: str) -> RunSpec:
    """What the first preset of a rule makes of a task, which may have values for the rule's settings too.

    Raises:
        SpecError: the preset raised something, or did not return a spec; with the line of the rule's file.
    """
    make, source = next(iter(rule.presets.values()), replace), source_of(rule)
    where, expected = source.path if source else rule.__name__, f"a preset that returns a RunSpec for {task}"
    try:
        spec = make(replace(published(task), rule=rule()))
    except TeamnetError:
        raise
    except Exception as error:  # a user's file can raise anything
        raise SpecError(
            f"{where}:{line_of(where, error)}", expected=expected, found=f"{type(error).__name__}: {error}",
            remedy="Correct the line.",
        ) from None
    if not isinstance(spec, RunSpec):
        raise SpecError(where, expected=expected, found=shown(spec), remedy="Return replace(run, ...).")
    return spec if type(spec.rule) is rule else replace(spec, rule=rule())  # a preset that was inherited names another


def presets_of(spec: RunSpec) -> list[RunSpec]:
    """What all presets make of a run's task; with a rule of a user's own also the first one of that."""
    rules, own = built_in_rules().values(), type(spec.rule)
    found = [make(published(spec.task)) for rule in rules for make in rule.presets.values()]
    return found if own in rules else [*found, preset_of_rule(own, spec.task)]


def published(task: str) -> RunSpec:
    """The spec with the hyperparameters that were published for MAP propagation."""
    if not isinstance(task, str):
        raise SpecError("task", expected="a name", found=shown(task), remedy=nearest("", PRESETS))
    if task in PRESETS:
        return PRESETS[task]
    for name, environment in ENVIRONMENTS.items():
        if task == environment:
            return PRESETS[name]
    if task.startswith(UNNAMED):
        known = task[1:-1] in (*PRESETS, *ENVIRONMENTS.values())
        return replace(published(task[1:-1]) if known else replace(PRESETS["cartpole"], episodes=500), task=task)
    if "-v" in task or ":" in task or "/" in task or task.endswith(".py"):
        return replace(PRESETS["cartpole"], task=task, episodes=500)
    raise SpecError(
        "task", expected="a preset, a Gymnasium id such as CartPole-v1, or module:Class", found=repr(task),
        remedy=nearest(task, PRESETS)
    )


def check_environment(where: str, task: str) -> None:
    """Refuse a task of one step, and a name that is none.

    Args:
        where: the option, for the message.
        task: its name.

    Raises:
        SpecError: naming the option.
    """
    if task in SINGLE_STEP_TASKS:
        raise SpecError(
            where, expected="a Gymnasium environment", found=f"{task!r}, a task of one step",
            remedy=f"Use one of {', '.join(ENVIRONMENTS)}, a Gymnasium id, or module:Class.",
        )
    try:
        published(task)
    except SpecError as error:
        raise SpecError(where, expected=error.expected, found=error.found, remedy=error.remedy) from None


def environment_id(task: str) -> str:
    """The Gymnasium id of a task that is not single-step."""
    return ENVIRONMENTS.get(task, task)
