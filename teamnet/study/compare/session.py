"""The comparison of two sides: the lines to print, and what is worse on the second one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from teamnet.errors import SpecError
from teamnet.study.compare.quantities import LESS, MORE, Quantity, costs_of, returns_of
from teamnet.study.compare.sides import Side, spec_of
from teamnet.study.experiment.records import Record
from teamnet.study.experiment.statistics import LEVEL, Spread
from teamnet.study.experiment.table import ABSENT, aligned, shown


class Compared(NamedTuple):
    """A comparison: its lines, and one line for each thing that is worse by more than the threshold."""

    lines: list[str]
    worse: list[str]


def compare_sides(before: Side, after: Side, threshold: float | None) -> Compared:
    """Compare all tasks, configurations, points and benchmarks that both sides have.

    Args:
        before, after: the sides.
        threshold: the share by which a rate may be lower, or traffic higher, before it counts as worse; a return
            counts as worse where it is lower beyond chance. ``None`` finds nothing worse.

    Raises:
        SpecError: they have nothing in common, or a side has runs of several specs of a task.
    """
    parts = [_compare_task(before, after, task, threshold) for task in before.runs if task in after.runs]
    for title, one, other, numbers in (
        ("communication", before.grid, after.grid, _of_grid), ("scaling", before.scaling, after.scaling, _of_scaling),
        ("benchmarks", before.bench, after.bench, _of_bench),
    ):
        if shared := [(name, one[name], other[name]) for name in one if name in other]:
            parts.append(_compare_records(title, shared, numbers, threshold))
    if not parts:
        raise SpecError(
            "after", expected="a task, a configuration or a benchmark that the other side has too", found="none",
            remedy="Give two folders of runs, of comm or of scale, or two outputs of teamnet bench --json.",
        )
    lines = [line for part in parts for line in ("", *part.lines)]
    return Compared(lines[1:], [line for part in parts for line in part.worse])


def _compare_task(before: Side, after: Side, task: str, threshold: float | None) -> Compared:
    specs = spec_of(before, task), spec_of(after, task)
    sides = before.runs[task], after.runs[task]
    names = [f"{len(runs)} run{'s' * (len(runs) != 1)}, {runs[0].label}" for runs in sides]
    different = [name for name in {**specs[0], **specs[1]} if specs[0].get(name) != specs[1].get(name)]
    returns, costs = returns_of(*sides), costs_of(*sides)
    lines = [
        f"{task}: {names[0]} (A); {names[1]} (B)",
        *(
            aligned(["spec", "A", "B"], [[name, *(_plain(spec, name) for spec in specs)] for name in different])
            if different else ["the same spec, but for the seeds"]
        ),
        *aligned(["return", "A", "B", "B - A", "p, Holm"], [_return_line(each) for each in returns]),
        *aligned(["cost", "A", "B", "B / A"], [_cost_line(each) for each in costs]),
    ]
    return Compared(lines, [
        f"{task}, {each.name.strip()}: {_mean(each.before)} before, {_mean(each.after)} now"
        for each in (*returns, *costs) if _is_worse(each, threshold)
    ])


def _plain(spec: Mapping[str, Any], name: str) -> str:
    if name not in spec:
        return ABSENT
    value = spec[name]
    if not isinstance(value, list):
        return str(value)
    return " ".join(f"{each:.6g}" if isinstance(each, float) else str(each) for each in value)


def _return_line(each: Quantity) -> list[str]:
    difference = each.after.mean - each.before.mean if each.before and each.after else None
    return [each.name, _mean(each.before), _mean(each.after), shown(difference, "{:+,.2f}"), shown(each.p, "{:.2g}")]


def _cost_line(each: Quantity) -> list[str]:
    return [each.name, _mean(each.before), _mean(each.after), shown(each.ratio, "{:.2f}")]


def _mean(spread: Spread | None) -> str:
    """The mean, with the standard deviation in brackets where runs differ."""
    if spread is None:
        return ABSENT
    return _number(spread.mean) + (f" ({_number(spread.std)})" if spread.std else "")


def _number(value: float | None) -> str:
    """Two decimals, or three digits of a small number."""
    return shown(value, "{:,.2f}" if value is None or value == 0.0 or abs(value) >= 0.1 else "{:.3g}")


def _is_worse(each: Quantity, threshold: float | None) -> bool:
    if each.is_return:
        if threshold is None or each.p is None or not each.before or not each.after:
            return False
        return each.p < LEVEL and each.after.mean < each.before.mean
    return _exceeds(each.ratio, each.better, threshold)


def _exceeds(ratio: float | None, better: int, threshold: float | None) -> bool:
    if threshold is None or ratio is None or not better:
        return False
    return ratio < 1.0 - threshold if better == MORE else ratio > 1.0 + threshold


def _compare_records(
    title: str, pairs: Sequence[tuple[str, Record, Record]], numbers: Callable[..., Iterator[tuple[Any, ...]]],
    threshold: float | None,
) -> Compared:
    rows, worse = [], []
    for name, *both in pairs:
        for quantity, better, before, after in numbers(*both):
            ratio = after / before if before and after is not None else None
            rows.append([name, quantity, _number(before), _number(after), shown(ratio, "{:.2f}")])
            if _exceeds(ratio, better, threshold):
                worse.append(f"{name}, {quantity}: {_number(before)} before, {_number(after)} now")
    return Compared(aligned([title, "quantity", "A", "B", "B / A"], rows), worse)


def _of_grid(*rows: Record) -> Iterator[tuple[Any, ...]]:
    yield "steps/s", MORE, *(row["env_steps_per_second"] for row in rows)
    yield "bytes a step", LESS, *(row["ledger"]["total"]["bytes_per_step"] for row in rows)
    yield "exchanges a step", LESS, *(row["ledger"]["exchanges_per_step"] for row in rows)


def _of_scaling(*rows: Record) -> Iterator[tuple[Any, ...]]:
    kind = "measured" if all(row["measured"] is not None for row in rows) else "predicted"
    yield f"steps/s, {kind}", MORE, *(row[kind] for row in rows)


def _of_bench(*rows: Record) -> Iterator[tuple[Any, ...]]:
    yield "ratio to the reference", MORE, *(row["ratio"] for row in rows)
    yield "steps/s", 0, *(row.get("rate") for row in rows)
