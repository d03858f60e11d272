"""``teamnet check``: what the tests do for the rules of this package, for a rule of a user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import tyro

from teamnet.cli.terminal import say
from teamnet.errors import SpecError, TeamnetError

if TYPE_CHECKING:
    from teamnet.rules.rule import Rule


def check(arguments: list[str]) -> int:
    """``teamnet check RULE [options]``."""

    def options(rule: tyro.conf.Positional[str], ray: bool = True, settings: tuple[str, ...] = ()) -> int:
        """Check a learning rule of your own; exits 1 if a check fails.

        Args:
            rule: its file, FILE.py or FILE.py:Class, or module:Class.
            ray: start actors too, and kill one of them; --no-ray leaves that out.
            settings: values of the rule's settings that are not the usual ones, NAME=VALUE.
        """
        from teamnet.rules.loading import find_rule, with_settings
        from teamnet.study.check.bench import CheckFailed

        values = tuple(_pair(text) for text in settings)
        checked, failures = with_settings(find_rule(rule)(), values), 0
        for name, run in (*_in_process(checked), *_with_runs(checked, ray=ray)):
            say(f"checking: {name}")
            try:
                result, passed = run(), True
            except (CheckFailed, TeamnetError) as error:
                result, passed = str(error), False
            failures += not passed
            print(f"{'ok' if passed else 'FAILED':8}{name:42}{result}", flush=True)
            if not passed and failures == 1 and name.startswith("slots"):
                return 1  # nothing else could run
        return int(failures > 0)

    return tyro.cli(options, prog="teamnet check", args=arguments)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise SpecError("settings", expected="NAME=VALUE", found=repr(text), remedy="Write, for instance, gain=2.")
    return name, value


def _in_process(rule: Rule) -> Iterator[tuple[str, Callable[[], str]]]:
    from teamnet.study.check.checks import in_process

    return in_process(rule)


def _with_runs(rule: Rule, *, ray: bool) -> Iterator[tuple[str, Callable[[], str]]]:
    from teamnet.study.check.ray_checks import costs, spec_of, survives_a_kill

    spec = spec_of(rule)
    if ray:
        yield "same bits on Ray after a kill", lambda: survives_a_kill(spec)
    yield "costs of operations, for plan", lambda: costs(spec)
