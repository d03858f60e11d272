"""The grid's results for readers: a Markdown table, and a picture of the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from teamnet.study.paper.figures import COLOURS
from teamnet.study.picture import as_png
from teamnet.study.rates import disturbance

_FACTORS = ("methods", "grains", "transports", "placements", "batches", "hidden", "settle_steps")
_HEADER = (
    "configuration", "actors", "steps/s", "exchanges a step", "messages a step", "bytes a step", "between nodes",
    "waiting", "straggler",
)


def label(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """What tells a configuration from the others of its grid; its method, if there is nothing else."""
    varied = [name for name in _FACTORS if len({str(its[name]) for its in rows}) > 1] or ["methods"]
    return ", ".join(_show(name, row[name]) for name in varied)


def _show(factor: str, value: Any) -> str:
    if factor == "hidden":
        return value or "no hidden"
    if factor == "batches":
        return f"batch x{value}"
    if factor == "settle_steps":
        return "usual steps" if value is None else f"{value} steps"
    return str(value)


def comm_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table, a line for each configuration; counts are per step of the batch."""
    lines = [_HEADER, ["---", *["---:"] * (len(_HEADER) - 2), "---"]]
    for row in rows:
        ledger = row["ledger"]
        total, between = ledger["total"], ledger["links"]["between_nodes"]
        waiting, exchanges = row["waiting"], ledger["exchanges_per_step"]
        lines.append([
            label(row, rows), str(row["actors"]), f"{row['env_steps_per_second']:,.0f}",
            "-" if exchanges is None else str(exchanges), f"{total['messages_per_step']:,.0f}",
            f"{total['bytes_per_step']:,.0f}", f"{between['bytes_per_step']:,.0f}",
            "-" if waiting is None else f"{100 * waiting:.0f} %", ledger["straggler"] or "-",
        ])
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return "\n\n".join(filter(None, (table, disturbance(rows))))


def draw_comm(rows: Sequence[Mapping[str, Any]], title: str) -> bytes:
    """A PNG file, bars for each configuration: steps a second, bytes a step, and the waiting of an average unit."""
    import matplotlib as mpl  # late: most commands draw nothing

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    names = [label(row, rows) for row in rows]
    figure, panels = plt.subplots(
        1, 3, figsize=(11, 1.3 + 0.36 * len(rows)), sharey=True, layout="constrained"
    )
    panels[0].barh(names, [row["env_steps_per_second"] for row in rows], color=COLOURS[0])
    panels[0].set_xlabel("environment steps a second")
    panels[1].barh(names, [row["ledger"]["total"]["bytes_per_step"] for row in rows], color=COLOURS[1])
    panels[1].set_xlabel("bytes a step")
    panels[2].barh(names, [100 * (row["waiting"] or 0.0) for row in rows], color=COLOURS[2])
    panels[2].set_xlabel("waiting, % of a unit's time")
    for axes in panels[:2]:
        if max(axes.dataLim.x1, 1.0) / max(1e-9, min(bar.get_width() for bar in axes.patches)) > 30:
            axes.set_xscale("log")
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].invert_yaxis()
    figure.suptitle(title, fontsize="medium")
    return as_png(figure)
