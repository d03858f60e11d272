"""Refusals of options of single layers."""

from __future__ import annotations

from teamnet.errors import SpecError
from teamnet.rules.loading import reference_of, with_settings
from teamnet.rules.rule import UnreadRule
from teamnet.spec.functions import function_of
from teamnet.spec.layer_options import LayerOptions, check_layer_options, options_of_layer
from teamnet.spec.run import SINGLE_STEP_TASKS, RunSpec, spec_of_team


def check_layers(spec: RunSpec) -> None:
    """Refuse options of single layers that the layers or their rule do not have.

    Raises:
        SpecError: naming the layer or the setting.
    """
    if not spec.layers and all("gaussian" in rule.hidden_types for rule in spec.rules):
        return
    depth = len(spec.hidden) + 1
    check_layer_options(spec.layers, dict.fromkeys(spec.teams, depth))
    for name, team in spec.teams.items():
        run = spec_of_team(spec, team)
        for number in range(1, depth + 1):
            own = options_of_layer(spec.layers, name, number, depth)
            where = f"layers, {name} layer {number}"
            if own.function:
                function_of(spec, own.function)
            if own.units != "gaussian" and own.function:
                raise SpecError(
                    where, expected="a function of Gaussian units", found=f"{own.function} of {own.units} units",
                    remedy="Leave the function out: the unit type determines the mean.",
                )
            if not isinstance(run.rule, UnreadRule):
                _check_rule(run, own, where, name, hidden=number < depth)


def _check_rule(run: RunSpec, own: LayerOptions, where: str, team: str, *, hidden: bool) -> None:
    rule = run.rule
    if hidden and own.units not in rule.hidden_types:
        raise SpecError(
            where, expected=f"units that {reference_of(type(rule))} can train: {', '.join(rule.hidden_types)}",
            found=own.units, remedy=f"Use --layers {team}.hidden:units={rule.hidden_types[0]}, or another rule.",
        )
    if own.reads and not rule.allows_skips:
        raise SpecError(
            where, expected="the layer below alone with these settings of the rule", found=f"reads {own.reads}",
            remedy="Use --feedback mirror, or leave the skip connection out.",
        )
    with_settings(rule, own.settings).check(run, single_step=run.task in SINGLE_STEP_TASKS)
