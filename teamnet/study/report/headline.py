"""The numbers that the page begins with: of each task the best return, the highest rate and the fewest bytes."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from teamnet.study.report.found import FoundRun


class Number(NamedTuple):
    """One number: its value, what it is, and of which method."""

    value: str
    title: str
    method: str


def headline(tasks: Mapping[str, Mapping[str, Sequence[FoundRun]]]) -> dict[str, list[Number]]:
    """The numbers of each task."""
    return {task: list(_numbers(methods)) for task, methods in tasks.items()}


def _numbers(methods: Mapping[str, Sequence[FoundRun]]) -> Iterator[Number]:
    returns = {
        name: found for name, every in methods.items()
        if (found := [value for run in every if (value := run.mean_return) is not None])
    }
    if not returns:
        return
    best = max(returns, key=lambda name: statistics.mean(returns[name]))
    values = returns[best]
    spread = f" ± {statistics.stdev(values):,.2f}" if len(values) > 1 else ""
    runs = f"{len(values)} run{'s' * (len(values) > 1)}"
    yield Number(f"{statistics.mean(values):,.2f}{spread}", "highest average return", f"{best}, {runs}")
    rates = {
        name: statistics.median(found) for name, every in methods.items()
        if (found := [rate for run in every if (rate := run.summary.get("env_steps_per_second"))])
    }
    if rates:
        fastest = max(rates, key=rates.__getitem__)
        yield Number(f"{rates[fastest]:,.0f}", "most steps/s", fastest)
    sizes = {
        name: statistics.mean(found) for name, every in methods.items()
        if (found := [float(run.ledger["total"]["bytes_per_step"]) for run in every if run.ledger])
    }
    if sizes:
        fewest = min(sizes, key=sizes.__getitem__)
        yield Number(f"{sizes[fewest]:,.0f}", "fewest bytes a step", fewest)
