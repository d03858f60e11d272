"""The rules by name: those of this package, each known by the name in its own file."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from teamnet import rules
from teamnet.rules.rule import Rule


def is_built_in(kind: type[Rule]) -> bool:
    """Whether a rule is one of this package."""
    return kind in built_in_rules().values()


@cache
def built_in_rules() -> dict[str, type[Rule]]:
    """The rules of this package that have a name."""
    found: dict[str, type[Rule]] = {}
    for module in pkgutil.iter_modules(rules.__path__):
        for value in vars(importlib.import_module(f"teamnet.rules.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Rule) and vars(value).get("name"):
                found[value.name] = value
    return found
