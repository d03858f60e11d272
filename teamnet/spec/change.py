"""A spec with other values, by the names that options of the command line have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from teamnet.dataflow.slots import Messages
from teamnet.errors import SpecError, nearest
from teamnet.rules.loading import reference_of
from teamnet.rules.registry import built_in_rules, is_built_in
from teamnet.rules.rule import Rule
from teamnet.spec.rules import as_rule
from teamnet.spec.run import RunSpec, TeamSpec
from teamnet.spec.synonyms import SYNONYMS

_OF_SETTLING = ("settle_steps", "acting_steps", "step_size")
"""Settings that scripts give to all rules of this package alike: those that do not settle ignore them."""


def changed(spec: RunSpec, **values: Any) -> RunSpec:
    """The spec with other values; :func:`teamnet.spec.check.check_run` checks them.

    Args:
        spec: whose other values stay.
        **values: fields of the run and of its messages, and settings of its rule. ``rule`` is a rule, a class or a
            name; see :func:`teamnet.spec.rules.as_rule`. ``actor`` and ``critic`` are a :class:`TeamSpec`, or a mapping
            of fields of the team and settings of its rule.

    Raises:
        SpecError: neither the run nor its rule has such a value.
    """
    rule = as_rule(values["rule"], spec.rule) if "rule" in values else spec.rule
    messages, of_run, settings = _divided(values, rule, Messages, RunSpec)
    rule = replace(rule, **settings)
    for name in ("actor", "critic"):
        if isinstance(given := of_run.get(name), Mapping):
            try:
                of_run[name] = _changed_team(name, getattr(spec, name), given, rule)
            except SpecError as error:
                raise SpecError(
                    f"{name}.{error.where}", expected=error.expected, found=error.found, remedy=error.remedy
                ) from None
    of_run["messages"] = replace(of_run.get("messages", spec.messages), **messages)
    return replace(spec, **{**of_run, "rule": rule})


def _changed_team(name: str, team: TeamSpec | None, values: Mapping[str, Any], of_run: Rule) -> TeamSpec:
    if team is None:
        raise SpecError(
            next(iter(values), ""), expected=f"a task with {name}", found="none", remedy="Leave its values out."
        )
    rule = team.rule or of_run
    if values.get("rule") is not None:
        rule = as_rule(values["rule"], of_run)
    of_team, settings = _divided(values, rule, TeamSpec)
    if settings or values.get("rule") is not None:
        of_team["rule"] = replace(rule, **settings)
    return replace(team, **of_team)


def _divided(values: Mapping[str, Any], rule: Rule, *kinds: type) -> list[dict[str, Any]]:
    """The values for each of some dataclasses, and those for the rule."""
    found: list[dict[str, Any]] = [{} for _ in (*kinds, rule)]
    names = [{field.name for field in fields(kind)} for kind in kinds] + [set(rule.settings())]
    for name, value in values.items():
        for known, part in zip(names, found, strict=True):
            if name in known:
                part[name] = value
                break
        else:
            if not (name in _OF_SETTLING and is_built_in(type(rule))):
                raise _unknown(name, rule, set().union(*names))
    return found


def _unknown(name: str, rule: Rule, known: set[str]) -> SpecError:
    if name in SYNONYMS:
        return SpecError(name, expected="an option of teamnet", found=repr(name), remedy=SYNONYMS[name])
    owners = [other for other, kind in built_in_rules().items() if name in kind().settings()]
    return SpecError(
        name, expected=f"an option, or a setting of {reference_of(type(rule))}", found=repr(name),
        remedy=f"Leave it out, or use --rule {' or '.join(owners)}." if owners else nearest(name, sorted(known)),
    )
