"""Specs as version 0.1 wrote them, with the settings of all rules as fields of the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from teamnet.rules.registry import built_in_rules
from teamnet.spec.run import RunSpec

RENAMED = {
    "wire": "message_dtype", "tolerance": "send_threshold", "forgetting": "weight_decay", "exploring": "exploration",
    "halvings": "divergence_retries",
}
"""Former names of fields; their options are accepted until the next version."""
_MESSAGES = ("message_dtype", "error_feedback", "send_threshold")


_OF_TEAMS = ("schedule", "settle_steps")


def renewed(plain: Mapping[str, Any]) -> Mapping[str, Any]:
    """The JSON types of a run's spec with the fields that it has now; unchanged if it has them already."""
    known = {name: set(kind().settings()) for name, kind in built_in_rules().items()}
    former = {*set().union(*known.values()), *RENAMED, *_MESSAGES}
    teams = [team for name in ("actor", "critic") if isinstance(team := plain.get(name), Mapping)]
    present = isinstance(plain.get("rule"), Mapping) or "messages" in plain
    if present or not (isinstance(plain.get("rule"), str) or any(former & {*part} for part in (plain, *teams))):
        return plain
    values = {
        RENAMED.get(name, name): "backprojected" if (name, value) == ("feedback", "shipped") else value
        for name, value in plain.items()
    }
    run = {name: values.pop(name) for name in former & {*values}}
    rule = values.pop("rule", RunSpec.rule.name)
    for name in ("actor", "critic"):
        if isinstance(team := values.get(name), Mapping):
            values[name] = _renewed_team(team, rule, run, known)
    messages = {name: run[name] for name in _MESSAGES if name in run}
    values = {name: value for name, value in values.items() if value or name not in ("settings", "source")}
    return {**values, "rule": _rule(rule, run, known), "messages": messages}


def _rule(name: Any, values: Mapping[str, Any], known: Mapping[str, set[str]]) -> Any:
    if not isinstance(name, str):
        return name
    return {"name": name, "settings": {key: values[key] for key in known.get(name, set()) & {*values}}}


def _renewed_team(
    team: Mapping[str, Any], of_run: Any, run: Mapping[str, Any], known: Mapping[str, set[str]]
) -> dict[str, Any]:
    values = {RENAMED.get(name, name): value for name, value in team.items()}
    own = {name: values.pop(name) for name in _OF_TEAMS if name in values}
    own = {name: value for name, value in own.items() if value is not None}
    rule = values.pop("rule", None)
    return {**values, "rule": _rule(rule or of_run, {**run, **own}, known)} if rule or own else values
