"""Tables: Markdown for files, aligned columns for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

ABSENT = "-"
"""Shown for a missing value."""


def shown(value: float | None, pattern: str = "{}") -> str:
    """A value in a format, or a dash for none."""
    return ABSENT if value is None else pattern.format(value)


def percent(share: float | None) -> str:
    """A share in per cent, or a dash for none."""
    return ABSENT if share is None else f"{100 * share:.0f} %"


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; columns after the first are aligned to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table for a terminal, every column as wide as its widest cell and aligned to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]
