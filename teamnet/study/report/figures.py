"""The interactive figures of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from teamnet.spec.presets import SINGLE_STEP_TASKS
from teamnet.study.communication.table import labels
from teamnet.study.experiment.figure import COLOURS as ALL_COLOURS
from teamnet.study.report.collect import Found, FoundRun, by_task
from teamnet.study.scaling.table import efficiency, speed_up

COLOURS = tuple(colour for colour in ALL_COLOURS if colour != "#000000")
"""Those that are seen on light and on dark ground."""
_ACTIVITIES = ("computed", "published", "waited")
_MOST_UNITS = 24


def sections(found: Found) -> list[tuple[str, str, Any]]:
    """Title, explanation and figure of every section that there is something for."""
    made: list[tuple[str, str, Any]] = []
    for task, runs in by_task(found.runs).items():
        shown = "Reward, mean of 100 batches" if task in SINGLE_STEP_TASKS else "Return, mean of the last 100 episodes"
        made.append((f"Learning: {task}", f"{shown}. A click in the legend hides a method's runs.", _learning(runs)))
        if told := [run for run in runs if _ledger(run)]:
            text = "Mean return over all episodes, against the bytes of a step."
            made.append((f"Return against communication: {task}", text, _front(runs)))
            text = "By kind of edge: one publication for one reader each. Of each method the run that was found last."
            made.append((f"Bytes of a step: {task}", text, _edges(told)))
    if timed := [run for run in found.runs if _ledger(run) and _ledger(run)["straggler"]]:
        text = f"Each unit in an average step of {timed[-1].name}, the busiest first."
        made.append(("Where the time goes", text, _times(_ledger(timed[-1])["units"])))
    for name, rows in found.grids.items():
        made.append((f"Communication grid: {name}", "Environment steps a second, and bytes of a step.", _grid(rows)))
    for name, rows in found.scalings.items():
        text = "Work done in a second, as a multiple of the first point's, and for each actor, node or environment."
        made.append((f"Scaling over {rows[0]['factor']}: {name}", text, _scaling(rows)))
    if any(row["measured"] for rows in found.scalings.values() for row in rows):
        text = "Environment steps a second: on the line, the prediction is right."
        made.append(("Plan against measurement", text, _plan(found.scalings)))
    return made


def _ledger(run: FoundRun) -> Mapping[str, Any]:
    return run.summary.get("communication") or {}


def _colours(labels: Sequence[str]) -> dict[str, str]:
    return {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(dict.fromkeys(labels))}


def _learning(runs: Sequence[FoundRun]) -> Any:
    from plotly import graph_objects

    figure, colours, shown = graph_objects.Figure(), _colours([run.label for run in runs]), set()
    for run in runs:
        figure.add_scatter(
            x=run.position, y=run.value, mode="lines", name=run.label, legendgroup=run.label,
            showlegend=run.label not in shown, line={"color": colours[run.label], "width": 1.5},
            text=run.name, hovertemplate="%{text}<br>%{x:,} steps: %{y:.2f}<extra></extra>",
        )
        shown.add(run.label)
    return _with_axes(figure, "environment steps", "return")


def _front(runs: Sequence[FoundRun]) -> Any:
    from plotly import graph_objects

    figure, colours, shown = graph_objects.Figure(), _colours([run.label for run in runs]), set()
    for run in runs:
        if ledger := _ledger(run):
            figure.add_scatter(
                x=[ledger["total"]["bytes_per_step"]], y=[run.summary["mean_return"]], mode="markers", name=run.label,
                legendgroup=run.label, showlegend=run.label not in shown, text=[run.name],
                marker={"color": colours[run.label], "size": 9},
                hovertemplate="%{text}<br>%{x:,} bytes, %{y:.2f}<extra></extra>",
            )
            shown.add(run.label)
    figure.update_xaxes(type="log")
    return _with_axes(figure, "bytes a step", "mean return")


def _edges(runs: Sequence[FoundRun]) -> Any:
    from plotly import graph_objects

    latest = {run.label: run for run in runs}
    figure = graph_objects.Figure()
    for number, kind in enumerate(_ledger(runs[0])["edges"]):
        figure.add_bar(
            y=list(latest), x=[_ledger(run)["edges"][kind]["bytes_per_step"] for run in latest.values()], name=kind,
            orientation="h", marker={"color": COLOURS[number % len(COLOURS)]},
        )
    figure.update_layout(barmode="stack")
    return _with_axes(figure, "bytes a step", "")


def _times(units: Sequence[Mapping[str, Any]]) -> Any:
    from plotly import graph_objects

    busiest = sorted(units, key=lambda unit: -unit["computed"])[:_MOST_UNITS][::-1]
    figure = graph_objects.Figure()
    for number, activity in enumerate(_ACTIVITIES):
        figure.add_bar(
            y=[unit["name"] for unit in busiest], x=[unit[activity] for unit in busiest], name=activity,
            orientation="h", marker={"color": COLOURS[number]},
        )
    figure.update_layout(barmode="stack")
    return _with_axes(figure, "seconds a step", "")


def _grid(rows: Sequence[Mapping[str, Any]]) -> Any:
    from plotly.subplots import make_subplots

    names = labels(rows)[::-1]
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.04)
    for column, (values, colour) in enumerate((
        ([row["env_steps_per_second"] for row in rows], COLOURS[0]),
        ([row["ledger"]["total"]["bytes_per_step"] for row in rows], COLOURS[1]),
    ), 1):
        figure.add_bar(
            x=values[::-1], y=names, orientation="h", marker={"color": colour}, showlegend=False, row=1, col=column
        )
    figure.update_xaxes(title_text="steps a second", row=1, col=1)
    figure.update_xaxes(title_text="bytes a step", row=1, col=2)
    figure.update_yaxes(automargin=True)
    return figure


def _scaling(rows: Sequence[Mapping[str, Any]]) -> Any:
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.12)
    names = [str(row["value"]) for row in rows]
    for column, function in enumerate((speed_up, efficiency), 1):
        for kind, dash, colour in (("measured", "solid", COLOURS[0]), ("predicted", "dash", COLOURS[1])):
            figure.add_scatter(
                x=names, y=function(rows, kind), mode="lines+markers", name=kind, legendgroup=kind,
                showlegend=column == 1, line={"color": colour, "dash": dash}, row=1, col=column,
            )
        figure.update_yaxes(title_text=("speed-up", "efficiency")[column - 1], rangemode="tozero", row=1, col=column)
    figure.update_xaxes(title_text=rows[0]["factor"], type="category")
    return figure


def _plan(scalings: Mapping[str, Sequence[Mapping[str, Any]]]) -> Any:
    from plotly import graph_objects

    figure = graph_objects.Figure()
    for number, (name, rows) in enumerate(scalings.items()):
        both = [row for row in rows if row["measured"]]
        figure.add_scatter(
            x=[row["measured"] for row in both], y=[row["predicted"] for row in both], mode="markers", name=name,
            text=[f"{row['factor']} {row['value']}" for row in both], hovertemplate="%{text}: %{x:,.0f}, %{y:,.0f}",
            marker={"color": COLOURS[number % len(COLOURS)], "size": 9},
        )
    ends = [row[kind] for rows in scalings.values() for row in rows if row["measured"]
            for kind in ("measured", "predicted")]
    figure.add_scatter(
        x=[min(ends), max(ends)], y=[min(ends), max(ends)], mode="lines", name="right", hoverinfo="skip",
        line={"color": "#888888", "dash": "dot", "width": 1},
    )
    figure.update_xaxes(type="log")
    figure.update_yaxes(type="log")
    return _with_axes(figure, "measured", "predicted")


def _with_axes(figure: Any, horizontal: str, vertical: str) -> Any:
    figure.update_xaxes(title_text=horizontal)
    figure.update_yaxes(title_text=vertical, automargin=True)
    return figure
