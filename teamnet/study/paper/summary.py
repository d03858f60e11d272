"""What every method comes to, in one table and one figure: return, exchanges, bytes and time."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from teamnet.rules.map_propagation import MapPropagation
from teamnet.rules.reinforce import Reinforce
from teamnet.study.experiment.cells import Cells
from teamnet.study.experiment.figure import COLOURS, as_png, new_figure
from teamnet.study.experiment.summary_tables import number
from teamnet.study.experiment.table import markdown, shown
from teamnet.study.experiment.tasks import TASKS, StudyTask
from teamnet.study.experiment.traffic import all_ledgers
from teamnet.study.paper.published import PUBLISHED

STEP_TASK = "cartpole"
"""The task whose steps are counted and timed."""
STEPS = 100_000
"""Environment steps that a time is for."""
_ZERO, _ONE = Reinforce.name, MapPropagation.name
"""The methods whose published returns have the scores 0 and 1: a scale that no result of a study changes."""


@dataclass(frozen=True)
class Summary:
    """What a method comes to.

    Args:
        name: of the method.
        returns: mean of the average returns by control task, for those that have runs.
        score: mean over those tasks of ``(return - zero) / (one - zero)``, where zero is the published return of
            REINFORCE, and one that of MAP propagation.
        exchanges, bytes: of a step of CartPole at layer granularity; ``None`` for a baseline of another library.
        seconds: of 100,000 steps of CartPole, in one process on one core; ``None`` if they were not timed.
    """

    name: str
    returns: dict[str, float]
    score: float
    exchanges: int | None
    bytes: int | None
    seconds: float | None


def control_tasks(cells: Cells) -> list[StudyTask]:
    """The tasks of the paper whose episodes have more than one step."""
    return [task for task in of_paper(cells) if not task.single_step]


def of_paper(cells: Cells) -> list[StudyTask]:
    """The tasks of the paper that have runs."""
    return [task for task in cells.tasks if task.name in TASKS]


def _scored_tasks(cells: Cells) -> list[StudyTask]:
    """The control tasks whose runs have their full length: others are not compared with published returns."""
    return [task for task in control_tasks(cells) if task.name not in cells.study.lengths]


def scored(cells: Cells) -> list[Summary]:
    """The methods that have runs on a control task of the paper, in the usual order; none without runs on CartPole."""
    if STEP_TASK not in {task.name for task in _scored_tasks(cells)}:
        return []
    found, rates = all_ledgers(cells, STEP_TASK), {speed.method: speed.median for speed in cells.speeds}
    members = []
    for name in cells.present:
        returns = _returns(cells, name)
        if (score := _score(returns)) is not None:
            ledger = found.get(name)
            members.append(
                Summary(
                    name, returns, score, ledger and ledger.exchanges, ledger and ledger.total.bytes,
                    STEPS / rate if (rate := rates.get(name)) else None,
                )
            )
    return members


def with_traffic(members: Sequence[Summary]) -> dict[str, Summary]:
    """Those whose traffic is known, by name."""
    return {each.name: each for each in members if each.bytes is not None}


def _returns(cells: Cells, name: str) -> dict[str, float]:
    spreads = {task.name: cells.spread_of(task.name, name) for task in _scored_tasks(cells)}
    return {task: spread.mean for task, spread in spreads.items() if spread}


def _score(returns: dict[str, float]) -> float | None:
    shares = []
    for task, value in returns.items():
        zero, one = (PUBLISHED[task][method].mean for method in (_ZERO, _ONE))
        shares.append((value - zero) / (one - zero))
    return statistics.mean(shares) if shares else None


def summary_table(cells: Cells, members: Sequence[Summary]) -> str:
    """A line for each method."""
    tasks = _scored_tasks(cells)
    rows = [
        [
            f"`{each.name}`", f"{each.score:.2f}",
            *(number(each.returns.get(task.name), task) for task in tasks), shown(each.exchanges, "{:,}"),
            shown(each.bytes, "{:,}"), shown(each.seconds, "{:.1f}"),
        ]
        for each in members
    ]
    return markdown(
        ["", "score", *(task.title.split("-")[0] for task in tasks), "exchanges", "bytes", "seconds"], rows
    )


def draw_frontier(cells: Cells, members: Sequence[Summary]) -> bytes | None:
    """A PNG file, score against bytes, exchanges and seconds, as far as they are known; ``None`` if none is."""
    quantities = [
        (name, label, points)
        for name, label in (
            ("bytes", "bytes a step"), ("exchanges", "exchanges a step"), ("seconds", "seconds for 100,000 steps"),
        )
        if (points := [each for each in members if getattr(each, name) is not None])
    ]
    if not quantities:
        return None
    figure, panels = new_figure(len(quantities), 3, 4.2, 3.6, sharey=True)
    colours = dict(zip(cells.methods, COLOURS, strict=False))
    for axes, (name, label, points) in zip(panels.flat, quantities, strict=True):
        for each in points:
            axes.scatter(getattr(each, name), each.score, color=colours.get(each.name), label=each.name, zorder=2)
        _format(axes, label)
    panels[0, 0].set_ylabel("score on the published scale")
    named = [zip(*axes.get_legend_handles_labels(), strict=True) for axes in panels.flat]
    handles = {name: handle for pairs in named for handle, name in pairs}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    return as_png(figure)


def _format(axes: Any, label: str) -> None:
    """A logarithmic axis with plain numbers, and lines at the scores 0 and 1."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set(xscale="log", xlabel=label)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    for score in (0, 1):
        axes.axhline(score, color="#999999", linewidth=0.8, zorder=0)
