"""``teamnet compare``: two sets of runs, grids or benchmarks side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from teamnet.cli.terminal import say
from teamnet.values import check_number


def compare(arguments: list[str]) -> int:
    """``teamnet compare A B [options]``."""

    def options(
        before: Annotated[Path, tyro.conf.Positional], after: Annotated[Path, tyro.conf.Positional],
        threshold: float | None = None,
    ) -> int:
        """Show two sets of runs, grids or benchmarks side by side.

        Of runs: what differs in their specs, their returns with Welch's test (adjusted by Holm), their speed, traffic
        and times.

        Args:
            before: a folder of runs of one spec with any seeds, or of comm or scale; or the output of bench --json.
            after: the same, to be compared with it.
            threshold: exit with 1 if a rate is lower, or traffic higher, by more than this share (0.1: a tenth), or a
                return is lower beyond chance.
        """
        from teamnet.study.compare.session import compare_sides
        from teamnet.study.compare.sides import read_side

        if threshold is not None:
            check_number("threshold", threshold, "0 or more", threshold >= 0.0, "Give a share, such as 0.1.")
        sides = read_side(before, "before"), read_side(after, "after")
        for path, reason in {**sides[0].unread, **sides[1].unread}.items():
            say(f"could not be read: {path}: {reason}")
        for path, first in {**sides[0].repeated, **sides[1].repeated}.items():
            say(f"counted once: {path} is {first}")
        lines, worse = compare_sides(*sides, threshold)
        print("\n".join([f"A: {before}", f"B: {after}", "", *lines]))
        for line in worse:
            say(f"worse: {line}")
        return int(bool(worse))

    return tyro.cli(options, prog="teamnet compare", args=arguments)
