"""Counts of the command line in scientific notation: ``--env-steps 1e6``."""

from __future__ import annotations

import re
from collections.abc import Sequence

_OF_COUNTS = re.compile(r"--([a-z]+\.)?([a-z-]*steps|episodes|save-every)")
"""Options whose values are counts of steps or episodes."""
_SCIENTIFIC = re.compile(r"\d+(\.\d+)?[eE]\+?\d+")


def in_digits(arguments: Sequence[str]) -> list[str]:
    """The arguments with the counts of steps and episodes in digits; what is no whole number stays as it is."""
    found: list[str] = []
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if equals and _OF_COUNTS.fullmatch(option.replace("_", "-")):
            found.append(f"{option}={_whole(value)}")
        elif found and _OF_COUNTS.fullmatch(found[-1].replace("_", "-")):
            found.append(_whole(argument))
        else:
            found.append(argument)
    return found


def _whole(text: str) -> str:
    if not _SCIENTIFIC.fullmatch(text) or not float(text).is_integer():
        return text
    return str(int(float(text)))
