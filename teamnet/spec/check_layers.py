"""Refusals of options of single layers."""

from __future__ import annotations

from teamnet.errors import SpecError
from teamnet.rules.feedback import ErrorsDown
from teamnet.rules.loading import with_settings
from teamnet.spec.functions import function_of
from teamnet.spec.layer_options import check_layer_options, options_of_layer
from teamnet.spec.rules import rule_of
from teamnet.spec.run import SINGLE_STEP_TASKS, RunSpec, spec_of_team


def check_layers(spec: RunSpec, *, acting: bool) -> None:
    """Refuse options of single layers that the layers or their rule do not have.

    Args:
        spec: of the run.
        acting: whether the team is only to act, so that a user's rule need not be executed.

    Raises:
        SpecError: naming the layer or the setting.
    """
    depth = len(spec.hidden) + 1
    teams = {name: team for name, team in (("actor", spec.actor), ("critic", spec.critic)) if team is not None}
    check_layer_options(spec.layers, dict.fromkeys(teams, depth))
    for name, team in teams.items():
        if not spec.layers:
            continue
        run = spec_of_team(spec, team)
        rule = None if acting else rule_of(run)
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
            if rule is None:
                continue
            if own.units not in rule.hidden_types:
                raise SpecError(
                    where, expected=f"units that {run.rule} can train: {', '.join(rule.hidden_types)}",
                    found=own.units, remedy="Choose another rule, such as reinforce, or Gaussian units.",
                )
            if own.reads and isinstance(rule, ErrorsDown) and rule.ships:
                raise SpecError(
                    where, expected="the layer below alone where products are sent down", found=f"reads {own.reads}",
                    remedy="Use --feedback mirror.",
                )
            with_settings(rule, own.settings).check(run, single_step=spec.task in SINGLE_STEP_TASKS)
