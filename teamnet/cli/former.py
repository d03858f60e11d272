"""Command lines of version 0.1."""

from __future__ import annotations

import re
from collections.abc import Sequence

from teamnet.spec.former import RENAMED


def with_present_names(arguments: Sequence[str]) -> list[str]:
    """The arguments of a command line with the present names of options and values that were renamed."""
    renamed = {name.replace("_", "-"): present.replace("_", "-") for name, present in RENAMED.items()}
    found = []
    for argument in arguments:
        option, equals, value = argument.partition("=")
        match = re.fullmatch(r"--((?:actor|critic)\.)?([a-z-]+)", option)
        if match and match[2] in renamed:
            found.append(f"--{match[1] or ''}{renamed[match[2]]}{equals}{value}")
        elif argument == "--feedback=shipped" or (argument == "shipped" and found[-1:] == ["--feedback"]):
            found.append(argument.replace("shipped", "backprojected"))
        else:
            found.append(argument)
    return found
