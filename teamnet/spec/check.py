"""Refusals: what a spec must satisfy before any work starts."""

from __future__ import annotations

import math
import re
import typing
from collections.abc import Sequence
from pathlib import Path

from teamnet.errors import SpecError, nearest, shown
from teamnet.kernels.constants import MESSAGE_DTYPES
from teamnet.rules.feedback import ErrorsDown
from teamnet.rules.map_propagation import MapPropagation
from teamnet.rules.registry import built_in_rules
from teamnet.spec.check_layers import check_layers
from teamnet.spec.files import check_types
from teamnet.spec.functions import function_of
from teamnet.spec.rules import rule_of
from teamnet.spec.run import RunSpec, TeamSpec, spec_of_team

SIGNALS = ("target", "reward")
_MOST_NEURONS = 1_000_000
MOST_LAYERS = 1_000
"""Hidden layers that a team can have."""
MOST_SEEDS = 10_000
"""Runs of one kind in a study."""


def choices(kind: type, field: str) -> tuple[str, ...]:
    """The values that a field of a dataclass may have, of those whose type names them."""
    return typing.get_args(typing.get_type_hints(kind)[field])


def check_choice(where: str, value: str, known: Sequence[str]) -> None:
    """Refuse a name that is not among the known ones.

    Raises:
        SpecError: naming the nearest known one.
    """
    if value not in known:
        mend = nearest(str(value), known)
        raise SpecError(where, expected=f"one of {', '.join(known)}", found=shown(value), mend=mend)


def check_number(where: str, value: float, expected: str, right: bool, mend: str) -> None:
    """Refuse what is no finite number, or not ``right``.

    Raises:
        SpecError: saying what was expected and how to fix it.
    """
    if not right or isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SpecError(where, expected=expected, found=shown(value), mend=mend)


def check_count(where: str, value: int, least: int, most: int = 2**40) -> None:
    """Refuse what is not a whole number in a range.

    Raises:
        SpecError: naming the range.
    """
    right = isinstance(value, int) and least <= value <= most
    check_number(where, value, f"a whole number from {least} to {most}", right, "Give such a number.")


def check_folder(where: str, path: Path | str) -> None:
    """Refuse a name that is empty, which a path takes for the current folder.

    Raises:
        SpecError: it is; ``.`` too, as paths do not tell the two apart.
    """
    if Path(path) == Path():
        raise SpecError(
            where, expected="a name", found=shown(str(path)), mend="Give one; the current folder by its full path."
        )


def whole_numbers(where: str, texts: Sequence[str]) -> tuple[int, ...]:
    """The numbers, 1 or more, that texts say in up to twelve decimal digits.

    Raises:
        SpecError: some text is none.
    """
    for text in texts:
        if not re.fullmatch("(?=.*[1-9])[0-9]{1,12}", text):
            raise SpecError(
                where, expected="whole numbers from 1, in digits", found=shown(text), mend="Give such numbers."
            )
    return tuple(int(text) for text in texts)


def check_run(spec: RunSpec, *, acting: bool = False) -> None:
    """Refuse values that make no sense; the number of values for each layer is checked by :func:`check_depth`.

    Args:
        spec: of the run.
        acting: whether the team is only to act, so that a user's rule need not be executed.

    Raises:
        SpecError: naming the field, what was expected and what was found.
    """
    check_types(spec)
    if spec.rule not in built_in_rules() and not acting:
        rule_of(spec)
        _check_own_rule(spec)
    function_of(spec, spec.function)
    check_choice("schedule", spec.schedule, choices(MapPropagation, "schedule"))
    check_choice("signal", spec.signal, SIGNALS)
    check_choice("td_error", spec.td_error, choices(ErrorsDown, "td_error"))
    check_count("seed", spec.seed, 0, 2**63 - 1)
    for name, bound in (("env_steps", spec.env_steps), ("episodes", spec.episodes)):
        if bound is not None:
            check_count(name, bound, 1)
    if spec.env_steps is None and spec.episodes is None:
        raise SpecError(
            "env_steps", expected="an end of the run", found="neither env_steps nor episodes",
            mend="Give --env-steps N or --episodes M.",
        )
    check_count("num_envs", spec.num_envs, 1, 100_000)
    check_count("settle_steps", spec.settle_steps, 0, 100_000)
    check_count("acting_steps", spec.acting_steps, 1, 100_000)
    check_count("anneal_steps", spec.anneal_steps, 0)
    check_count("address_bits", spec.address_bits, 1, 16)
    check_count("halvings", spec.halvings, 0, 100)
    check_count("hidden layers", len(spec.hidden), 0, MOST_LAYERS)
    for number, size in enumerate(spec.hidden, 1):
        check_count(f"hidden[{number}]", size, 1, _MOST_NEURONS)
    check_number(
        "step_size", spec.step_size, "0 < step_size < 2", 0 < spec.step_size < 2,
        "Use 0.5, as the paper does; from 2 on settling always diverges.",
    )
    check_choice("feedback", spec.feedback, choices(ErrorsDown, "feedback"))
    check_choice("wire", spec.wire, MESSAGE_DTYPES)
    if spec.error_feedback and spec.wire == "float64":
        raise SpecError(
            "error_feedback", expected="a --wire that leaves something out", found="float64",
            mend="Choose float32, bfloat16 or int8, or leave --error-feedback out.",
        )
    if spec.feedback == "kolen-pollack":
        mend = "Forgetting is what brings both ends of a synapse together; try 1e-4."
        check_number("forgetting", spec.forgetting, "between 0 and 1", 0 < spec.forgetting < 1, mend)
    else:
        right = 0 <= spec.forgetting < 1
        check_number("forgetting", spec.forgetting, "0 or more and below 1", right, "Use 0 to forget nothing.")
    check_number("tolerance", spec.tolerance, "0 or more", spec.tolerance >= 0, "Use 0 for none, or try 0.01.")
    check_count("exchange_every", spec.exchange_every, 1, 100_000)
    check_number("discount", spec.discount, "0 <= discount <= 1", 0 <= spec.discount <= 1, "Use 0.98, as the paper.")
    _check_share("exploring", spec.exploring)
    check_number("entropy", spec.entropy, "0 or more", spec.entropy >= 0, "Use 0 for no regularisation.")
    _check_combination(spec)
    if spec.reward_limit is not None:
        check_number("reward_limit", spec.reward_limit, "more than 0", spec.reward_limit > 0, "Leave it out for none.")
    for name, value in (("action_scale", spec.action_scale), ("action_offset", spec.action_offset)):
        if value is not None:
            check_number(name, value, "a finite number", True, "Leave it out to span the action space.")
    for name, team in (("actor", spec.actor), ("critic", spec.critic)):
        if team is not None:
            _check_team(name, team)
    check_layers(spec, check_run, acting=acting)


def _check_own_rule(spec: RunSpec) -> None:
    """Refuse settings of the rules of this package, which a user's rule would ignore."""
    usual = RunSpec(spec.task)
    for name in {name for kind in built_in_rules().values() for name in kind().settings()}:
        if getattr(spec, name) != getattr(usual, name):
            raise SpecError(
                name, expected="its usual value with a rule of your own", found=repr(getattr(spec, name)),
                mend="Leave it out: it is a setting of rules of this package. --preset map has the usual values.",
            )


def _settling(spec: RunSpec) -> set[str]:
    """How the teams settle; nothing of those whose rule is another one."""
    teams = [spec_of_team(spec, team) for team in (spec.actor, spec.critic) if team is not None] or [spec]
    return {its.schedule if its.rule == "map" else "" for its in teams}


def _check_combination(spec: RunSpec) -> None:
    """Refuse choices that a rule would silently ignore."""
    for name, usable, asked in (
        ("entropy", spec.rule == "backprop", spec.entropy > 0),
        ("schedule", spec.rule == "map", spec.schedule != "jacobi"),
        ("exchange_every", "jacobi" in _settling(spec), spec.exchange_every != 1),
        ("feedback", spec.rule != "reinforce", spec.feedback != "mirror"),
        ("tolerance", spec.rule == "map" and not spec.error_feedback and spec.feedback != "shipped",
         spec.tolerance > 0),
        ("td_error", _settling(spec) <= {"sweeps", "descents"} and not spec.tolerance
         and spec.task not in ("multiplexer", "regression"), spec.td_error != "broadcast"),
        ("free_running", spec.rule == "map-async", spec.free_running),
        ("signal", spec.task == "regression", spec.signal != "target"),
    ):
        if asked and not usable:
            raise SpecError(
                name, expected="its usual value with this rule and task", found=repr(getattr(spec, name)),
                mend={"entropy": "Only --rule backprop carries the gradient of the entropy.",
                      "schedule": "Only --rule map settles by choice.",
                      "exchange_every": "Use --schedule jacobi: no other settles between exchanges.",
                      "feedback": "Leave it out: REINFORCE sends nothing down.",
                      "tolerance": "Only --rule map settles; --error-feedback would move what has settled, and "
                                   "shipped products are not activations or errors.",
                      "td_error": "It comes down with the first errors of sweeps or descents of all teams, which must "
                                  "be sent in every step (no --tolerance), in tasks of many steps; else use "
                                  "--td-error broadcast.",
                      "free_running": "Only --rule map-async runs without a common tick.",
                      "signal": "Leave it out. Only regression has a known target."}[name],
            )
    for name, team in (("actor", spec.actor), ("critic", spec.critic)):
        if team is not None:
            _check_rule_of_team(name, spec, team)
    if spec.rule == "map-async" and spec.task in ("multiplexer", "regression"):
        raise SpecError(
            "rule", expected="map, reinforce or backprop for a task of one step", found="'map-async'",
            mend="Use --rule map: asynchronous MAP propagation carries its values from step to step.",
        )


def _check_rule_of_team(name: str, spec: RunSpec, team: TeamSpec) -> None:
    """Refuse a team's own rule or schedule that its run would not carry out."""
    if team.rule is not None:
        check_choice(f"{name}.rule", team.rule, tuple(built_in_rules()))
        if "map-async" in (team.rule, spec.rule) and team.rule != spec.rule:
            raise SpecError(
                f"{name}.rule", expected=f"the run's rule, {spec.rule}", found=repr(team.rule),
                mend="Give all teams of the run the same rule: map-async is for all or for none.",
            )
    if team.schedule is not None:
        check_choice(f"{name}.schedule", team.schedule, choices(MapPropagation, "schedule"))
    own = spec_of_team(spec, team)
    if team.schedule is not None and own.rule != "map":
        raise SpecError(
            f"{name}.schedule", expected="none with this rule", found=repr(team.schedule),
            mend="Leave it out: only the rule map settles by choice.",
        )
    own_name = "settle_steps" if team.settle_steps is None else f"{name}.settle_steps"
    check_count(own_name, own.settle_steps, 1 if own.rule == "map" and own.schedule != "jacobi" else 0, 100_000)
    _check_share("exploring" if team.exploring is None else f"{name}.exploring", own.exploring)


def _check_share(where: str, value: float) -> None:
    check_number(where, value, "0 <= exploring <= 1", 0 <= value <= 1, "Use 1 for every unit to explore.")


def _check_team(name: str, team: TeamSpec) -> None:
    for value in team.variances:
        check_number(f"{name}.variances", value, "numbers above 0", value > 0, "Use 0.1: every unit must explore.")
    for field, rates in (("rates", team.rates), ("final_rates", team.final_rates)):
        for value in rates:
            check_number(f"{name}.{field}", value, "numbers of 0 or more", value >= 0, "Use 0 to freeze a layer.")
    check_number(
        f"{name}.trace_lambda", team.trace_lambda, "0 <= lambda <= 1", 0 <= team.trace_lambda <= 1, "Use 0 for none."
    )
    check_number(
        f"{name}.temperature", team.temperature, "more than 0", team.temperature > 0, "Use more to explore more."
    )


def check_depth(name: str, team: TeamSpec, layers: int, gaussian_layers: int) -> None:
    """Refuse a team whose values do not match its layers one by one.

    Raises:
        SpecError: naming the field, and how many values there should be.
    """
    for field, values, count in (
        ("variances", team.variances, gaussian_layers), ("rates", team.rates, layers),
        ("final_rates", team.final_rates, layers),
    ):
        if len(values) != count:
            raise SpecError(
                f"{name}.{field}", expected=f"{count} values, one for each layer that has it", found=f"{len(values)}",
                mend="Give one value a layer, from the first hidden layer upwards.",
            )
