"""What is compared of two sets of runs: returns with a test, speed, traffic, and how the units spent their time."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from teamnet.study.experiment.statistics import Spread, holm, spread, welch
from teamnet.study.report.found import FoundRun

PARTS = ("first quarter", "second quarter", "third quarter", "last quarter")
"""Of the episodes of a run."""
MORE, LESS = 1, -1
"""Which is better: more of a quantity, or less."""


@dataclass(frozen=True)
class Quantity:
    """A quantity on both sides.

    Args:
        name: with its unit.
        before, after: over the runs of each side; ``None`` where no run has it.
        better: whether more or less of it is better; 0 where neither is.
        p: of Welch's test, adjusted by Holm for the returns of this task; ``None`` where it was not tested.
        is_return: whether it is a return, whose difference is tested, and not a cost.
    """

    name: str
    before: Spread | None
    after: Spread | None
    better: int = 0
    p: float | None = None
    is_return: bool = False

    @property
    def ratio(self) -> float | None:
        """``after / before``; ``None`` where it has no meaning, as for returns."""
        if self.is_return or not self.before or not self.after or self.before.mean <= 0.0:
            return None
        return self.after.mean / self.before.mean


def returns_of(before: Sequence[FoundRun], after: Sequence[FoundRun]) -> list[Quantity]:
    """The average return over all episodes and over each quarter of them, with Welch's test of each difference."""
    pairs = [("average return", *(_spread(runs, lambda run: run.mean_return) for runs in (before, after)))]
    for number, part in enumerate(PARTS):
        def of_part(run: FoundRun, number: int = number) -> float | None:
            return _average_of_part(run, number)

        pairs.append((part, _spread(before, of_part), _spread(after, of_part)))
    tests = [welch(one, other) if one and other else None for _, one, other in pairs]
    adjusted = iter(holm([p for p in tests if p is not None]))
    return [
        Quantity(name, one, other, MORE, None if p is None else next(adjusted), is_return=True)
        for (name, one, other), p in zip(pairs, tests, strict=True)
    ]


def costs_of(before: Sequence[FoundRun], after: Sequence[FoundRun]) -> list[Quantity]:
    """Speed, start-up, and the traffic and times of a step, as far as a run of each side has them."""
    return [
        Quantity(name, one, other, better)
        for name, better, value in _costs([*before, *after])
        if (one := _spread(before, value)) and (other := _spread(after, value))
    ]


Value = Callable[[FoundRun], float | None]


def _costs(runs: Sequence[FoundRun]) -> Iterator[tuple[str, int, Value]]:
    yield "steps/s", MORE, lambda run: run.summary.get("env_steps_per_second")
    yield "start-up, s", 0, lambda run: run.summary.get("startup_seconds")
    yield "exchanges a step", LESS, lambda run: run.ledger.get("exchanges_per_step")
    yield "messages a step", LESS, lambda run: _traffic(run, "messages_per_step")
    yield "bytes a step", LESS, lambda run: _traffic(run, "bytes_per_step")
    for kind in dict.fromkeys(kind for run in runs for kind in run.ledger.get("edges", {})):
        yield f"  {kind}, bytes", 0, lambda run, kind=kind: _edge(run, kind)
    for time in ("computed", "published", "waited"):
        yield f"{time}, s a step", 0, lambda run, time=time: _time(run, time)


def _average_of_part(run: FoundRun, number: int) -> float | None:
    count = len(run.returns)
    part = run.returns[number * count // len(PARTS):(number + 1) * count // len(PARTS)]
    return float(part.mean()) if len(part) else None


def _traffic(run: FoundRun, name: str) -> float | None:
    return run.ledger["total"][name] if run.ledger else None


def _edge(run: FoundRun, kind: str) -> float | None:
    return run.ledger["edges"].get(kind, {}).get("bytes_per_step", 0.0) if run.ledger else None


def _time(run: FoundRun, name: str) -> float | None:
    """The mean over the units; ``None`` where a unit has none."""
    times = [unit[name] for unit in run.ledger.get("units", ())]
    return statistics.mean(times) if times and None not in times else None


def _spread(runs: Sequence[FoundRun], value: Value) -> Spread | None:
    found = [float(number) for run in runs if (number := value(run)) is not None]
    return spread(found, "compare")
