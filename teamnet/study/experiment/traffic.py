"""What each method sends in a step, compared with its return: tables, and a figure with the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from teamnet.dataflow.graph import Dataflow
from teamnet.spec.resolve import build_teams, fit_depth
from teamnet.spec.run import RunSpec
from teamnet.study.experiment.cells import BASE, Cells
from teamnet.study.experiment.figure import COLOURS, as_png, new_figure
from teamnet.study.experiment.results import Result
from teamnet.study.experiment.table import markdown
from teamnet.study.experiment.tasks import StudyTask
from teamnet.study.interfaces import INTERFACES
from teamnet.team.ledger import ACTION, CONTROL, OBSERVATION, TD_ERROR, Ledger, Traffic, expected_traffic
from teamnet.team.partition import divide_all

_COORDINATORS = OBSERVATION, ACTION, TD_ERROR, CONTROL
_TICKS = (1_000, 3_000, 10_000, 30_000, 100_000)


def ledger_of(spec: RunSpec, grain: str = "layer") -> Ledger:
    """The traffic of one step of a run of a known task, from its schedules alone."""
    interface = INTERFACES[spec.task]
    teams = build_teams(fit_depth(spec, interface), interface)
    return expected_traffic(Dataflow(teams), divide_all(teams, grain, 0))


def all_ledgers(cells: Cells, task: str) -> dict[str, Ledger]:
    """The ledger of a step for every team method with runs on the task.

    What units send follows from the spec; where settled units send nothing, it is the mean of the runs.
    """
    return {
        name: _measured(ledger_of(spec), results)
        for name, results in cells.on(task).items()
        if isinstance(spec := cells.methods[name].spec(task, 0), RunSpec)
    }


def ledgers(cells: Cells, task: str, base: str = BASE) -> dict[str, Ledger]:
    """The same; empty without the base, with which others are compared, or without others."""
    found = all_ledgers(cells, task)
    return found if base in found and len(found) > 1 else {}


def _measured(ledger: Ledger, results: Sequence[Result]) -> Ledger:
    measured = [result.said for result in results if result.said]
    if not measured:
        return ledger
    means = {kind: np.mean([sent[kind] for sent in measured], axis=0) for kind in ledger.edges}
    return replace(ledger, edges={kind: Traffic(*(round(value) for value in mean)) for kind, mean in means.items()})


def messages_between_units(ledger: Ledger) -> int:
    """All but messages to and from the coordinator: activations, errors, gates, and what a rule adds."""
    return sum(traffic.messages for kind, traffic in ledger.edges.items() if kind not in _COORDINATORS)


def ledger_table(found: Mapping[str, Ledger], base: str = BASE) -> str:
    """Exchanges, messages and bytes of a step, and their shares of the base's."""

    def numbers(ledger: Ledger) -> list[int]:
        return [ledger.exchanges or 0, ledger.total.messages, messages_between_units(ledger), ledger.total.bytes]

    whole_step = numbers(found[base])
    rows = [
        [f"`{name}`", *(f"{n:,} ({100 * n / all_:.1f} %)" for n, all_ in zip(numbers(ledger), whole_step, strict=True))]
        for name, ledger in found.items()
    ]
    return markdown(["", "sequential exchanges", "messages", "of them between units", "bytes"], rows)


def draw_front(cells: Cells, tasks: Sequence[StudyTask]) -> bytes | None:
    """A PNG file of average return against bytes of a step on some tasks, the Pareto front marked.

    Bars are 95 % intervals of the mean, which a single run does not have. Tasks on which no method has a ledger to
    compare with the base's are left out; ``None`` if none is left.
    """
    tasks = [task for task in tasks if ledgers(cells, task.name)]
    if not tasks:
        return None
    figure, panels = new_figure(len(tasks), 2, 5.2, 3.4)
    for axes, task in zip(panels.flat, tasks, strict=False):
        _draw_panel(axes, cells, task)
    drawn = [zip(*axes.get_legend_handles_labels(), strict=True) for axes in panels.flat]
    handles = {name: handle for pairs in drawn for handle, name in pairs}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return as_png(figure, dpi=100)


def _draw_panel(axes: Any, cells: Cells, task: StudyTask) -> None:
    points: list[tuple[float, float]] = []
    for name, ledger in ledgers(cells, task.name).items():
        spread = cells.spread_of(task.name, name)
        assert spread is not None, "only methods with runs have a ledger here"
        shape, colour = divmod(list(cells.methods).index(name), len(COLOURS))
        interval = [[spread.mean - spread.low], [spread.high - spread.mean]] if spread.n > 1 else None
        axes.errorbar(
            ledger.total.bytes, spread.mean, yerr=interval, fmt="os"[shape], color=COLOURS[colour], capsize=3,
            label=cells.methods[name].label,
        )
        points.append((ledger.total.bytes, spread.mean))
    front = zip(*pareto(points), strict=True)
    axes.plot(*front, color="#999999", linewidth=1, linestyle="--", zorder=0, label="Pareto front")
    axes.set(xscale="log", title=task.title, xlabel="bytes a step", ylabel="average return")
    if not task.single_step:  # a batch of 128 samples sends more
        axes.set_xlim(_TICKS[0] / 2, 2 * _TICKS[-1])
        axes.set_xticks(_TICKS, [f"{tick:,}" for tick in _TICKS])
    axes.minorticks_off()


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points for which no other has as much return for as few bytes, sorted by bytes."""
    best, front = -np.inf, []
    for size, value in sorted(points, key=lambda point: (point[0], -point[1])):
        if value > best:
            best = value
            front.append((size, value))
    return front
