"""What each method says in a step beside what it reaches: tables, and a figure with the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from teamnet.spec.resolve import build_teams, fit_depth
from teamnet.spec.run import RunSpec
from teamnet.study.experiment.figure import COLOURS, as_png
from teamnet.study.experiment.statistics import LEVEL, Spread, welch_of
from teamnet.study.interfaces import INTERFACES
from teamnet.study.paper.tables import Cells, markdown, mean_and_std
from teamnet.study.paper.tasks import TASKS
from teamnet.team.ledger import ACTIVATION, EDGES, ERROR, GATE, Ledger, Traffic, foretell
from teamnet.team.partition import divide_all

BASE = "map"
"""The method that the others are compared with."""
_TICKS = (1_000, 3_000, 10_000, 30_000, 100_000)
_CONTROL = tuple(name for name, task in TASKS.items() if not task.single_step)


def ledger_of(spec: RunSpec, grain: str = "layer") -> Ledger:
    """What one step of a run of a study's task says, from its schedules alone."""
    interface = INTERFACES[spec.task]
    teams = build_teams(fit_depth(spec, interface), interface)
    return foretell(teams, divide_all(teams, grain, 0))


def ledgers(cells: Cells, task: str) -> dict[str, Ledger]:
    """The ledgers of a step of all methods of the task that have runs and are teams of ours.

    What units say follows from the spec; where they fall silent once they have settled, it is the mean of the runs.
    """
    found = {}
    for name, method in cells.methods.items():
        results = cells.results_of(task, name)
        if results and isinstance(spec := method.spec(task, 0), RunSpec):
            found[name] = ledger_of(spec)
            if measured := [its.said for its in results if its.said]:
                found[name] = replace(found[name], edges={kind: _mean(kind, measured) for kind in EDGES})
    return found


def comparable(found: Mapping[str, Ledger]) -> bool:
    """Whether there are other ledgers to be compared with the base's."""
    return BASE in found and len(found) > 1


def _mean(kind: str, measured: Sequence[Mapping[str, Sequence[float]]]) -> Traffic:
    return Traffic(*(round(value) for value in np.mean([its[kind] for its in measured], axis=0)))


def messages_between_units(ledger: Ledger) -> int:
    """Activations, error activations and gates: all but what goes to or comes from the coordinator."""
    return sum(ledger.edges[kind].messages for kind in (ACTIVATION, ERROR, GATE))


def ledger_table(found: Mapping[str, Ledger]) -> str:
    """Exchanges, messages and bytes of a step, and their shares of the base's."""

    def numbers(ledger: Ledger) -> list[int]:
        return [ledger.exchanges or 0, ledger.total.messages, messages_between_units(ledger), ledger.total.bytes]

    base = numbers(found[BASE])
    rows = [
        [f"`{name}`", *(f"{n:,} ({100 * n / of:.1f} %)" for n, of in zip(numbers(ledger), base, strict=True))]
        for name, ledger in found.items()
    ]
    return markdown(["", "exchanges one upon another", "messages", "of them between units", "bytes"], rows)


def own_difference_table(cells: Cells) -> str:
    """Every cell compared with this study's ``map``: Welch's test where both have two runs or more, else empty."""
    rows = []
    for task in cells.tasks:
        base = cells.spread_of(task.name, BASE)
        for name in cells.methods_of(task.name):
            ours = cells.spread_of(task.name, name)
            if name == BASE or ours is None or base is None or (p := welch_of(ours, base)) is None:
                continue
            verdict = "no difference beyond chance" if p >= LEVEL else "higher" if ours.mean > base.mean else "lower"
            rows.append([
                f"{task.title}, `{name}`", str(ours.n), mean_and_std(ours, task), mean_and_std(base, task),
                f"{ours.mean - base.mean:+.2f}", f"{p:.2g}", verdict,
            ])
    return markdown(["cell", "runs", "it", "`map`", "difference", "p", "verdict"], rows) if rows else ""


def draw_front(cells: Cells, among: Sequence[str] = _CONTROL) -> bytes | None:
    """A PNG file of average return against bytes of a step on some tasks, the Pareto front marked.

    Bars are 95 % intervals of the mean, which a single run does not have. Tasks on which no method has a ledger to be
    compared with the base's are left out; ``None`` if that leaves none.
    """
    tasks = [task for task in among if comparable(ledgers(cells, task))]
    if not tasks:
        return None
    import matplotlib as mpl  # late: most commands draw nothing

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    columns = min(2, len(tasks))
    figure, panels = plt.subplots(
        -(-len(tasks) // columns), columns, figsize=(5.2 * columns, 3.4 * -(-len(tasks) // columns)),
        squeeze=False, layout="constrained",
    )
    for axes in panels.flat[len(tasks) :]:
        axes.set_visible(False)
    for axes, task in zip(panels.flat, tasks, strict=False):
        _draw_panel(axes, cells, task)
    shown = [zip(*axes.get_legend_handles_labels(), strict=True) for axes in panels.flat]
    handles = {name: handle for its in shown for handle, name in its}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return as_png(figure, dpi=100)


def _draw_panel(axes: Any, cells: Cells, task: str) -> None:
    points: list[tuple[int, Spread]] = []
    for name, ledger in ledgers(cells, task).items():
        its = cells.spread_of(task, name)
        assert its is not None, "only methods with runs have a ledger here"
        again, place = divmod(list(cells.methods).index(name), len(COLOURS))
        interval = [[its.mean - its.low], [its.high - its.mean]] if its.n > 1 else None
        axes.errorbar(
            ledger.total.bytes, its.mean, yerr=interval, fmt="os"[again], color=COLOURS[place], capsize=3,
            label=cells.methods[name].label,
        )
        points.append((ledger.total.bytes, its))
    front = pareto([(size, its.mean) for size, its in points])
    axes.plot(*zip(*front, strict=True), color="#999999", linewidth=1, linestyle="--", zorder=0, label="Pareto front")
    axes.set(xscale="log", title=TASKS[task].title, xlabel="bytes a step", ylabel="average return")
    if not TASKS[task].single_step:  # a batch of 128 samples says more
        axes.set_xlim(_TICKS[0] / 2, 2 * _TICKS[-1])
        axes.set_xticks(_TICKS, [f"{tick:,}" for tick in _TICKS])
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points for which no other has as much return for as few bytes, by bytes."""
    best, front = -np.inf, []
    for size, value in sorted(points, key=lambda point: (point[0], -point[1])):
        if value > best:
            best = value
            front.append((size, value))
    return front
