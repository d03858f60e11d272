"""The records of ``teamnet gradients`` as a table and a figure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from teamnet.study.experiment.figure import COLOURS, as_png, new_figure
from teamnet.study.experiment.table import markdown, shown

Row = Mapping[str, Any]
_HEADER = ("hidden", "units", "method", "layer", "cosine", "length", "bias", "noise", "samples to 0.9")


def gradients_table(rows: Sequence[Row]) -> str:
    """A Markdown table, a line for each layer of each method, and what the columns mean."""
    lines = [
        [
            row["hidden"], row["units"], f"`{row['method']}`", row["layer"], shown(row["cosine"], "{:.3f}"),
            shown(row["length"], "{:.3g}"), shown(row["bias"], "{:.3g}"), shown(row["noise"], "{:,.3g}"),
            shown(row["samples"], "{:,.0f}"),
        ]
        for row in rows
    ]
    exact = all(row["exact"] for row in rows)
    source = "exact, by enumeration" if exact else "where it cannot be enumerated, the mean of an unbiased rule"
    return (
        f"{markdown(_HEADER, lines)}\n\ncosine: of the mean update and the gradient of the expected reward ({source}). "
        "length: of the mean update, as a multiple of the gradient's. bias: their distance, as a share of the "
        "gradient's length. noise: the variance of one sample's update over the squared length of the mean update. "
        "samples to 0.9: the mean of how many samples' updates has that cosine; a dash where none has, or where the "
        "mean update cannot be told from 0."
    )


def draw_gradients(rows: Sequence[Row]) -> bytes:
    """A PNG file of cosine, noise and samples: over the depth of the teams, or over the layers of the first one.

    The latter if there are several of the same depth, or only one.
    """
    types = list(dict.fromkeys(row["units"] for row in rows))
    teams = list(dict.fromkeys(row["hidden"] for row in rows))
    depths = [len(team.split("-")) for team in teams]
    deep = len(teams) > 1 and len(set(depths)) == len(depths)
    colours = dict(zip(dict.fromkeys(row["method"] for row in rows), itertools.cycle(COLOURS), strict=False))
    measures = (("cosine", "linear"), ("noise", "log"), ("samples", "log"))
    figure, panels = new_figure(len(measures) * len(types), len(measures), 4.0, 3.2)
    for line, units in enumerate(types):
        methods = list(dict.fromkeys(row["method"] for row in rows if row["units"] == units))
        for place, (measure, scale) in enumerate(measures):
            axes, ticks = panels[line, place], set[int]()
            for method in methods:
                found = [
                    row for row in rows
                    if row["units"] == units and row["method"] == method and (row["layer"] == "all") == deep
                    and (deep or row["hidden"] == teams[0])
                ]
                places = [len(row["hidden"].split("-")) if deep else int(row["layer"]) for row in found]
                values = [math.nan if row[measure] is None else row[measure] for row in found]
                axes.plot(places, values, "o-", color=colours[method], label=method)
                ticks.update(places)
            axes.set(
                yscale=scale, xlabel="hidden layers" if deep else "layer", title=f"{units}: {_TITLES[measure]}",
                xticks=sorted(ticks),
            )
            if measure == "cosine":
                axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        panels[line, 0].legend(frameon=False, fontsize="small")
    return as_png(figure)


_TITLES = {"cosine": "cosine with the gradient", "noise": "noise of one sample", "samples": "samples to cosine 0.9"}
