"""The sections of the page, from what was found."""

from __future__ import annotations

from teamnet.study.report.charts.chart import Section
from teamnet.study.report.charts.experiments import grid, plan, scaling
from teamnet.study.report.charts.frontier import counted, edges, frontier
from teamnet.study.report.charts.learning import learning
from teamnet.study.report.charts.network import network, times
from teamnet.study.report.charts.timeline import timeline
from teamnet.study.report.found import Found, FoundRun


def by_task(runs: list[FoundRun]) -> dict[str, dict[str, list[FoundRun]]]:
    """Runs by task and by method."""
    tasks: dict[str, dict[str, list[FoundRun]]] = {}
    for run in runs:
        tasks.setdefault(str(run.spec["task"]), {}).setdefault(run.label, []).append(run)
    return tasks


def sections(found: Found) -> list[Section]:
    """Every section that has data."""
    made: list[Section] = []
    latest: dict[str, FoundRun] = {}
    for task, methods in by_task(found.runs).items():
        made.append(learning(task, methods))
        if with_traffic := {name: runs for name, every in methods.items() if (runs := counted(every))}:
            made += [frontier(task, with_traffic), edges(task, with_traffic)]
            latest |= {f"{task}, {name}: {runs[-1].name}": runs[-1] for name, runs in with_traffic.items()}
    if drawn := {name: run for name, run in latest.items() if run.ledger.get("flows")}:
        made.append(network(drawn))
    if timed := {name: run for name, run in latest.items() if run.ledger["straggler"]}:
        made.append(times(timed))
    if found.traces:
        made.append(timeline(found.traces))
    made += [grid(name, rows) for name, rows in found.grids.items()]
    made += [scaling(name, rows) for name, rows in found.scalings.items()]
    predicted = plan(found.scalings)
    return [*made, *([predicted] if predicted else [])]
