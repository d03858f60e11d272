"""The interactive figures of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from teamnet.spec.run import SINGLE_STEP_TASKS
from teamnet.study.communication.table import labels
from teamnet.study.experiment.figure import COLOURS as ALL_COLOURS
from teamnet.study.report.collect import Found, FoundRun
from teamnet.study.scaling.table import efficiency, speed_up

COLOURS = tuple(colour for colour in ALL_COLOURS if colour != "#000000")
"""The colours that are visible on light and dark backgrounds."""
_MOST_UNITS = 24


@dataclass(frozen=True)
class Section:
    """A figure of the page, as Plotly's JSON, with its title and an explanation."""

    title: str
    text: str
    figure: str


def sections(found: Found) -> list[Section]:
    """Every section that has data."""
    made: list[tuple[str, str, Any]] = []
    tasks: dict[str, list[FoundRun]] = {}
    for run in found.runs:
        tasks.setdefault(str(run.spec["task"]), []).append(run)
    for task, runs in tasks.items():
        shown = "Reward, mean of 100 batches" if task in SINGLE_STEP_TASKS else "Return, mean of the last 100 episodes"
        made.append((f"Learning: {task}", f"{shown}. A click in the legend hides a method's runs.", _learning(runs)))
        if counted := [run for run in runs if run.ledger]:
            text = "Mean return over all episodes, against the bytes of a step."
            made.append((f"Return against communication: {task}", text, _front(counted)))
            text = "By kind of edge: a message is one publication for one reader. For each method, the run found last."
            made.append((f"Bytes of a step: {task}", text, _edges(counted)))
    if timed := [run for run in found.runs if run.ledger and run.ledger["straggler"]]:
        text = f"Each unit in an average step of {timed[-1].name}, the busiest first."
        made.append(("Where the time goes", text, _times(timed[-1].ledger["units"])))
    for name, rows in found.grids.items():
        made.append((f"Communication grid: {name}", "Environment steps a second, and bytes of a step.", _grid(rows)))
    for name, rows in found.scalings.items():
        text = "Work done in a second, as a multiple of the first point's, and for each actor, node or environment."
        made.append((f"Scaling over {rows[0]['factor']}: {name}", text, _scaling(rows)))
    if any(row["measured"] for rows in found.scalings.values() for row in rows):
        text = "Environment steps a second: on the line, the prediction is right."
        made.append(("Plan against measurement", text, _plan(found.scalings)))
    return [Section(title, text, figure.to_json()) for title, text, figure in made]


def _figure(horizontal: str, vertical: str, *, log: tuple[str, ...] = (), **layout: Any) -> Any:
    from plotly import graph_objects

    figure = graph_objects.Figure()
    figure.update_xaxes(title_text=horizontal, type="log" if "x" in log else None)
    figure.update_yaxes(title_text=vertical, type="log" if "y" in log else None, automargin=True)
    return figure.update_layout(**layout)


def _styles(runs: Sequence[FoundRun]) -> list[tuple[FoundRun, str, dict[str, Any]]]:
    """Every run with the colour of its label, and its legend settings, which show each label once."""
    labels = list(dict.fromkeys(run.label for run in runs))
    first = {run.label: run for run in reversed(runs)}
    return [
        (run, COLOURS[labels.index(run.label) % len(COLOURS)],
         {"name": run.label, "legendgroup": run.label, "showlegend": first[run.label] is run})
        for run in runs
    ]


def _learning(runs: Sequence[FoundRun]) -> Any:
    figure = _figure("environment steps", "return")
    for run, colour, legend in _styles(runs):
        figure.add_scatter(
            x=run.curve.position, y=run.curve.value, mode="lines", line={"color": colour, "width": 1.5}, text=run.name,
            hovertemplate="%{text}<br>%{x:,} steps: %{y:.2f}<extra></extra>", **legend,
        )
    return figure


def _front(runs: Sequence[FoundRun]) -> Any:
    figure = _figure("bytes a step", "mean return", log=("x",))
    for run, colour, legend in _styles(runs):
        figure.add_scatter(
            x=[run.ledger["total"]["bytes_per_step"]], y=[run.summary["mean_return"]], mode="markers", text=[run.name],
            marker={"color": colour, "size": 9}, hovertemplate="%{text}<br>%{x:,} bytes, %{y:.2f}<extra></extra>",
            **legend,
        )
    return figure


def _bars(figure: Any, names: Sequence[str], lengths: Mapping[str, Sequence[Any]], **place: Any) -> Any:
    """Add horizontal bars, one colour for each quantity."""
    for number, (quantity, values) in enumerate(lengths.items()):
        colour = COLOURS[number % len(COLOURS)]
        figure.add_bar(y=list(names), x=values, name=quantity, orientation="h", marker={"color": colour}, **place)
    return figure


def _edges(runs: Sequence[FoundRun]) -> Any:
    latest = {run.label: run.ledger["edges"] for run in runs}
    lengths = {kind: [edges[kind]["bytes_per_step"] for edges in latest.values()] for kind in runs[0].ledger["edges"]}
    return _bars(_figure("bytes a step", "", barmode="stack"), list(latest), lengths)


def _times(units: Sequence[Mapping[str, Any]]) -> Any:
    busiest = sorted(units, key=lambda unit: -unit["computed"])[:_MOST_UNITS][::-1]
    lengths = {name: [unit[name] for unit in busiest] for name in ("computed", "published", "waited")}
    return _bars(_figure("seconds a step", "", barmode="stack"), [unit["name"] for unit in busiest], lengths)


def _grid(rows: Sequence[Mapping[str, Any]]) -> Any:
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.04)
    rows = rows[::-1]
    rates, sizes = zip(*((row["env_steps_per_second"], row["ledger"]["total"]["bytes_per_step"]) for row in rows),
                       strict=True)
    for column, (title, values) in enumerate((("steps a second", rates), ("bytes a step", sizes)), 1):
        _bars(figure, labels(rows), {title: values}, row=1, col=column, showlegend=False)
        figure.update_xaxes(title_text=title, row=1, col=column)
    return figure.update_yaxes(automargin=True)


def _scaling(rows: Sequence[Mapping[str, Any]]) -> Any:
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.12)
    names = [str(row["value"]) for row in rows]
    for column, (title, function) in enumerate((("speed-up", speed_up), ("efficiency", efficiency)), 1):
        for kind, dash, colour in (("measured", "solid", COLOURS[0]), ("predicted", "dash", COLOURS[1])):
            figure.add_scatter(
                x=names, y=function(rows, kind), mode="lines+markers", name=kind, legendgroup=kind,
                showlegend=column == 1, line={"color": colour, "dash": dash}, row=1, col=column,
            )
        figure.update_yaxes(title_text=title, rangemode="tozero", row=1, col=column)
    return figure.update_xaxes(title_text=rows[0]["factor"], type="category")


def _plan(scalings: Mapping[str, Sequence[Mapping[str, Any]]]) -> Any:
    figure = _figure("measured", "predicted", log=("x", "y"))
    ends: list[float] = []
    for number, (name, rows) in enumerate(scalings.items()):
        measured_rows = [row for row in rows if row["measured"]]
        measured, predicted = ([row[kind] for row in measured_rows] for kind in ("measured", "predicted"))
        ends += [*measured, *predicted]
        figure.add_scatter(
            x=measured, y=predicted, mode="markers", name=name, hovertemplate="%{text}: %{x:,.0f}, %{y:,.0f}",
            text=[f"{row['factor']} {row['value']}" for row in measured_rows],
            marker={"color": COLOURS[number % len(COLOURS)], "size": 9},
        )
    line = [min(ends), max(ends)]
    return figure.add_scatter(
        x=line, y=line, mode="lines", name="right", hoverinfo="skip",
        line={"color": "#888888", "dash": "dot", "width": 1},
    )
