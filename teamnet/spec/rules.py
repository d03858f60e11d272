"""The rule of a run, from what a user gives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from teamnet.errors import SpecError, shown
from teamnet.kernels.user_file import source_of
from teamnet.rules.loading import find_rule, reference_of
from teamnet.rules.registry import is_built_in
from teamnet.rules.rule import Rule
from teamnet.spec.run import RunSpec


def as_rule(given: Any, like: Rule | None = None) -> Rule:
    """A rule that is given by its name, as a class, or with its settings.

    Args:
        given: see :func:`teamnet.rules.loading.find_rule` for names.
        like: a rule from which a rule without settings takes those of the same name and type.

    Raises:
        SpecError: there is none, or its file has a mistake; with the line.
    """
    if isinstance(given, Rule):
        return given
    if not isinstance(given, str | type) or (isinstance(given, type) and not issubclass(given, Rule)):
        raise SpecError(
            "rule", expected="a rule: its name, its class or an object", found=shown(given), remedy="Give one of them."
        )
    kind = find_rule(given) if isinstance(given, str) else given
    rule = kind()
    if like is None or not (is_built_in(type(like)) and is_built_in(kind)):
        return like if like and type(like) is kind else rule
    found = like.settings()
    return replace(rule, **{name: found[name] for name in rule.settings() if name in found})


def check_source(spec: RunSpec) -> None:
    """Refuse a rule that is in no file, so that it could not be found again.

    Raises:
        SpecError: it is in none.
    """
    for rule in spec.rules:
        if not type(rule).__module__.startswith("teamnet.") and source_of(type(rule)) is None:
            raise SpecError(
                "rule", expected="a class in a file, which is kept with the run", found=reference_of(type(rule)),
                remedy="Put the class into a file, and give the file.",
            )
