"""Refusals: what a spec must satisfy before any work starts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from teamnet.dataflow.slots import Messages
from teamnet.errors import SpecError, shown
from teamnet.kernels.constants import MESSAGE_DTYPES
from teamnet.rules.loading import reference_of
from teamnet.spec.check_layers import check_layers
from teamnet.spec.environment_options import ENVIRONMENT_OPTIONS, arguments_of, call_of
from teamnet.spec.files import check_types
from teamnet.spec.functions import function_of
from teamnet.spec.rules import check_source
from teamnet.spec.run import SINGLE_STEP_TASKS, RunSpec, TeamSpec, spec_of_team
from teamnet.values import check_choice, check_count, check_number

SIGNALS = ("target", "reward")
_MOST_NEURONS = 1_000_000
MOST_LAYERS = 1_000
"""Hidden layers that a team can have."""
MOST_SEEDS = 10_000
"""Runs of one kind in a study."""


def check_folder(where: str, path: Path | str) -> None:
    """Refuse a name that is empty, which a path takes for the current folder.

    Raises:
        SpecError: it is; ``.`` too, as paths do not tell the two apart.
    """
    if Path(path) == Path():
        raise SpecError(
            where, expected="a name", found=shown(str(path)), remedy="Give one; the current folder by its full path."
        )


def whole_numbers(where: str, texts: Sequence[str]) -> tuple[int, ...]:
    """The numbers, 1 or more, of texts of up to twelve decimal digits.

    Raises:
        SpecError: some text is none.
    """
    for text in texts:
        if not re.fullmatch("(?=.*[1-9])[0-9]{1,12}", text):
            raise SpecError(
                where, expected="whole numbers from 1, in digits", found=shown(text), remedy="Give such numbers."
            )
    return tuple(int(text) for text in texts)


def check_run(spec: RunSpec) -> None:
    """Refuse values that make no sense; the number of values for each layer is checked by :func:`check_depth`.

    Raises:
        SpecError: naming the field, what was expected and what was found.
    """
    check_types(spec)
    function_of(spec, spec.function)
    check_choice("signal", spec.signal, SIGNALS)
    check_count("seed", spec.seed, 0, 2**63 - 1)
    for name, bound in (("env_steps", spec.env_steps), ("episodes", spec.episodes)):
        if bound is not None:
            check_count(name, bound, 1)
    if spec.env_steps is None and spec.episodes is None:
        raise SpecError(
            "env_steps", expected="an end of the run", found="neither env_steps nor episodes",
            remedy="Give --env-steps N or --episodes M.",
        )
    check_count("num_envs", spec.num_envs, 1, 100_000)
    check_count("anneal_steps", spec.anneal_steps, 0)
    check_count("address_bits", spec.address_bits, 1, 16)
    check_count("divergence_retries", spec.divergence_retries, 0, 100)
    check_count("hidden layers", len(spec.hidden), 0, MOST_LAYERS)
    for number, size in enumerate(spec.hidden, 1):
        check_count(f"hidden[{number}]", size, 1, _MOST_NEURONS)
    _check_messages(spec.messages)
    check_number("discount", spec.discount, "0 <= discount <= 1", 0 <= spec.discount <= 1, "Use 0.98, as the paper.")
    _check_share("exploration", spec.exploration)
    if spec.signal != "target" and spec.task != "regression":
        raise SpecError(
            "signal", expected="target", found=spec.signal, remedy="Leave it out. Only regression has a known target."
        )
    check_source(spec)
    _check_rules(spec)
    if spec.reward_limit is not None:
        check_number("reward_limit", spec.reward_limit, "more than 0", spec.reward_limit > 0, "Leave it out for none.")
    _check_environment(spec)
    for name, value in (("action_scale", spec.action_scale), ("action_offset", spec.action_offset)):
        if value is not None:
            check_number(name, value, "a finite number", True, "Leave it out to span the action space.")
    for name, team in spec.teams.items():
        _check_team(name, team)
    check_layers(spec)


def _check_environment(spec: RunSpec) -> None:
    if spec.task in SINGLE_STEP_TASKS:
        for name in ENVIRONMENT_OPTIONS:
            if getattr(spec, name):
                raise SpecError(
                    name, expected=f"none with {spec.task}, which is no Gymnasium environment",
                    found=shown(getattr(spec, name)), remedy="Leave it out.",
                )
    arguments_of(spec.env_kwargs)
    for text in spec.wrappers:
        call_of("wrappers", text)
    if spec.max_episode_steps is not None:
        check_count("max_episode_steps", spec.max_episode_steps, 1)
    for number, scale in enumerate(spec.observation_scale, 1):
        check_number(f"observation_scale[{number}]", scale, "more than 0", scale > 0, "Use 1 for no change.")
    if spec.observation_scale and spec.normalise_observations:
        raise SpecError(
            "observation_scale", expected="none with normalise_observations, which divides by a scale of its own",
            found=shown(spec.observation_scale), remedy="Leave one of them out; --observation-scale alone is none.",
        )


def _check_messages(messages: Messages) -> None:
    check_choice("message_dtype", messages.message_dtype, MESSAGE_DTYPES)
    threshold = messages.send_threshold
    if messages.error_feedback and threshold:
        raise SpecError(
            "send_threshold", expected="0 with --error-feedback", found=shown(threshold),
            remedy="Leave one of them out: error feedback moves what the threshold has kept.",
        )
    if messages.message_dtype == "int8" and threshold:
        raise SpecError(
            "send_threshold", expected="0 with --message-dtype int8", found=shown(threshold),
            remedy="Use bfloat16: what is kept has the scale of an earlier message, and int8 has one for all.",
        )
    if messages.error_feedback and messages.message_dtype == "float64":
        raise SpecError(
            "error_feedback", expected="a --message-dtype that leaves something out", found="float64",
            remedy="Choose float32, bfloat16 or int8, or leave --error-feedback out.",
        )
    check_number("send_threshold", threshold, "0 or more", threshold >= 0, "Use 0 for none, or try 0.01.")


def _check_rules(spec: RunSpec) -> None:
    """Refuse what the rule of the run, or that of a team, cannot train."""
    single_step = spec.task in SINGLE_STEP_TASKS
    for name, team in spec.teams.items():
        own = spec_of_team(spec, team)
        if type(own.rule) is not type(spec.rule) and (own.rule.in_all_teams or spec.rule.in_all_teams):
            raise SpecError(
                f"{name}.rule", expected=f"the run's rule, {reference_of(type(spec.rule))}",
                found=reference_of(type(own.rule)), remedy="Give all teams of the run the same rule.",
            )
        if own.rule.runs_free != spec.rule.runs_free:
            raise SpecError(
                f"{name}.rule", expected="teams that all run without a common tick, or none", found=shown(own.rule),
                remedy="Give the setting to the run.",
            )
        if own.mask_actions and own.rule.runs_free:
            raise SpecError(
                "mask_actions", expected="units with a common tick", found=shown(own.rule),
                remedy="Let them run in ticks: without, an action may be chosen by the mask of another step.",
            )
        try:
            own.rule.check(own, single_step=single_step)
        except SpecError as error:
            if team.rule is None or getattr(team.rule, error.where, None) == getattr(spec.rule, error.where, None):
                raise
            raise SpecError(
                f"{name}.{error.where}", expected=error.expected, found=error.found, remedy=error.remedy
            ) from None
        _check_share("exploration" if team.exploration is None else f"{name}.exploration", own.exploration)


def _check_share(where: str, value: float) -> None:
    check_number(where, value, "0 <= exploration <= 1", 0 <= value <= 1, "Use 1 for every unit to explore.")


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
                remedy="Give one value a layer, from the first hidden layer upwards.",
            )
