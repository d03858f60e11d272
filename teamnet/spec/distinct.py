"""Presets that differ in their rule or its settings."""

from __future__ import annotations

from teamnet.errors import SpecError
from teamnet.rules.rule import Rule
from teamnet.spec.check import check_run
from teamnet.spec.presets import METHODS, preset
from teamnet.spec.run import RunSpec


def distinct_presets(task: str) -> tuple[str, ...]:
    """The first preset of each rule and schedule that can train a task."""
    found: dict[Rule, str] = {}
    for name in METHODS:
        spec = preset(task, name)
        if _is_accepted(spec):
            found.setdefault(spec.rule, name)
    return tuple(found.values())


def _is_accepted(spec: RunSpec) -> bool:
    try:
        check_run(spec)
    except SpecError:
        return False
    return True
