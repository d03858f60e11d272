"""From the name of a rule in a spec to the rule with its settings."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from teamnet.errors import SpecError
from teamnet.kernels.user_file import source_of
from teamnet.rules.loading import find_rule, kept_rule, with_settings
from teamnet.rules.registry import built_in_rules
from teamnet.rules.rule import Rule
from teamnet.spec.functions import with_functions
from teamnet.spec.run import RunSpec


def rule_of(spec: RunSpec) -> Rule:
    """The rule of a run with the settings that the run has for it.

    Raises:
        SpecError: there is none, its file has a mistake, or a setting makes no sense.
    """
    if kind := built_in_rules().get(spec.rule):
        return kind(**{field.name: getattr(spec, field.name) for field in fields(kind)})
    own = kept_rule(spec.rule, spec.source) if spec.source else find_rule(spec.rule)
    return with_settings(own(), spec.settings)


def with_source(spec: RunSpec) -> RunSpec:
    """The spec with the files of a user's rule and functions, as they are now, unless it has them already.

    Raises:
        SpecError: the class is in no file, so that it could not be found again; or a function has a mistake.
    """
    spec = with_functions(spec)
    if spec.source or spec.rule in built_in_rules():
        return spec
    source = source_of(find_rule(spec.rule))
    if source is None:
        raise SpecError(
            "rule", expected="a class in a file, which is kept with the run", found=spec.rule,
            remedy="Put the class into a file, and give the file.",
        )
    return replace(spec, source=source.text)


def rule_options(rule: str | type[Rule] | Rule) -> dict[str, Any]:
    """The fields of a spec for a rule that Python code gives: by name, as a class, or with its settings."""
    if not isinstance(rule, Rule) and not (isinstance(rule, type) and issubclass(rule, Rule)):
        return {"rule": rule}  # a name, or what is refused as none
    kind, settings = (rule, {}) if isinstance(rule, type) else (type(rule), rule.settings())
    if kind in built_in_rules().values():
        return {"rule": kind.name, **settings}
    texts = tuple((name, str(value)) for name, value in settings.items())
    return {"rule": f"{kind.__module__}:{kind.__qualname__}", "settings": texts}
