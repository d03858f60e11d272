"""Candidates as a table for the terminal, and as JSON types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from teamnet.study.experiment.table import aligned, shown
from teamnet.study.plan.search import Candidate

_REQUEST = "as requested"


def candidates_table(found: Sequence[Candidate]) -> list[str]:
    """A line for each candidate; bytes are of one step of one environment."""
    measured = any(each.measured for each in found)
    returns = any(each.known_return is not None for each in found)
    header = [
        *(("return",) if returns else ()), "steps/s", *(("measured", "predicted / measured") if measured else ()),
        "bytes a step", "exchanges", "actors", "nodes", "same results", "options",
    ]
    return aligned(header, [
        [
            *((shown(each.known_return, "{:,.2f}"),) if returns else ()),
            f"{each.prediction.env_steps_per_second:,.0f}",
            *((shown(each.measured, "{:,.0f}"), shown(_ratio(each), "{:.2f}")) if measured else ()),
            f"{each.bytes_per_env_step:,.0f}", shown(each.prediction.exchanges_per_step), str(each.prediction.actors),
            str(each.prediction.nodes), "yes" if each.same_results else "no", _options(each),
        ]
        for each in found
    ])


def _ratio(each: Candidate) -> float | None:
    return each.prediction.env_steps_per_second / each.measured if each.measured else None


def _options(each: Candidate) -> str:
    return " ".join(f"{name}={value}" for name, value in each.options.items()) or _REQUEST


def as_plain(each: Candidate) -> dict[str, Any]:
    """JSON types."""
    return {
        "options": dict(each.options), "same_results": each.same_results, "measured": each.measured,
        "known_return": each.known_return,
        "bytes_per_env_step": each.bytes_per_env_step, **each.prediction.as_plain(),
    }
