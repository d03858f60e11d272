"""Options that take several values and are given more than once: all their values count."""

from __future__ import annotations

from collections.abc import Sequence

from teamnet.cli.option_groups import ALIASES

_NAMES = {
    spelling: f"--{name}" for name in ("callback", "wrappers", "env-kwargs", "layers")
    for spelling in (f"--{name}", *ALIASES.get(name, ()))
}


def joined(arguments: Sequence[str]) -> list[str]:
    """The arguments of a command line, each such option once, at the end, with the values of all its places."""
    found: dict[str, list[str]] = {}
    others: list[str] = []
    values = others
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if name := _NAMES.get(option.replace("_", "-")):
            values = found.setdefault(name, [])
            values += [value] if equals else []
        elif argument.startswith("--"):
            values = others
            others.append(argument)
        else:
            values.append(argument)
    return [*others, *(part for name, given in found.items() for part in (name, *given))]
