"""The sections of the page, from what was found."""

from __future__ import annotations

from teamnet.errors import shown
from teamnet.study.report.charts.chart import Section
from teamnet.study.report.charts.experiments import grid, plan, scaling
from teamnet.study.report.charts.frontier import counted, edges, frontier
from teamnet.study.report.charts.learning import learning
from teamnet.study.report.charts.network import network, times
from teamnet.study.report.charts.timeline import timeline
from teamnet.study.report.flat import flat
from teamnet.study.report.found import Found, FoundRun

_NAMED = 3
"""The most values that are named where specs differ."""


def by_task(runs: list[FoundRun]) -> dict[str, dict[str, list[FoundRun]]]:
    """Runs by task and by method; a method whose runs have several specs has a group for each of them."""
    tasks: dict[str, dict[str, list[FoundRun]]] = {}
    for run in runs:
        tasks.setdefault(str(run.spec["task"]), {}).setdefault(run.label, []).append(run)
    return {
        task: {name: group for label, every in methods.items() for name, group in _by_spec(label, every).items()}
        for task, methods in tasks.items()
    }


def _by_spec(label: str, runs: list[FoundRun]) -> dict[str, list[FoundRun]]:
    """The runs of each spec, whatever their seeds, under the label and the values that differ."""
    specs = [{name: value for name, value in flat(run.spec).items() if name != "seed"} for run in runs]
    distinct = [spec for place, spec in enumerate(specs) if spec not in specs[:place]]
    names = [
        name for name in dict.fromkeys(key for spec in distinct for key in spec)
        if any(spec.get(name) != distinct[0].get(name) for spec in distinct)
    ]
    groups: dict[str, list[FoundRun]] = {}
    for number, spec in enumerate(distinct, 1):
        values = ", ".join(f"{name} {shown(spec.get(name))}" for name in names[:_NAMED])
        title = f"{label}: {values}" if names else label
        if len(names) > _NAMED:
            title += f" and more ({number})"
        elif title in groups:  # values that differ beyond what is shown of them
            title += f" ({number})"
        groups[title] = [run for run, own in zip(runs, specs, strict=True) if own == spec]
    return groups


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
