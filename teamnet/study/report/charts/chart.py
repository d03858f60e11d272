"""What all charts share: a spec of Vega-Lite as a dictionary, fields, and the colours of methods."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from teamnet.study.experiment.figure import COLOURS as ALL_COLOURS

COLOURS = tuple(colour for colour in ALL_COLOURS if colour != "#000000")
"""The colours that are visible on light and dark backgrounds."""
Spec = dict[str, Any]
_DIGITS = 5


@dataclass(frozen=True)
class Chart:
    """One chart.

    Args:
        title: above it, or its name in a list of choices.
        spec: of Vega-Lite.
    """

    title: str
    spec: Spec


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Args:
        title: of the section.
        text: a sentence or two about what is shown.
        charts: side by side, or one at a time.
        choose: whether a list of choices shows one chart at a time.
    """

    title: str
    text: str
    charts: Sequence[Chart]
    choose: bool = False


def spec(description: str, values: Iterable[dict[str, Any]], *layers: Spec, height: int = 300, **more: Any) -> Spec:
    """A spec of layers over the same values, as wide as its place on the page.

    Args:
        description: for screen readers.
        values: one dictionary for each datum; floats are rounded to five digits.
        layers: marks with their encodings.
        height: pixels.
        more: further properties of the spec.
    """
    body: Spec = dict(layers[0]) if len(layers) == 1 else {"layer": list(layers)}
    rounded = [{name: _round(value) for name, value in row.items()} for row in values]
    return {
        "description": description, "data": {"values": rounded}, "width": "container",
        "height": height, "autosize": {"type": "fit", "contains": "padding"}, **body, **more,
    }


def number(name: str, title: str | None = None, *, log: bool = False, zero: bool = False, **more: Any) -> Spec:
    """The encoding of a quantity."""
    scale = {"type": "log", "nice": False, "padding": 14} if log else {"zero": zero}
    axis = {"axis": {"grid": False, "tickCount": 6}} if log else {}
    return {"field": name, "type": "quantitative", "title": title, "scale": scale, **axis, **more}


def category(name: str, **more: Any) -> Spec:
    """The encoding of a category, in the order of the values."""
    return {"field": name, "type": "nominal", "title": None, "sort": None, **more}


def coloured(name: str, domain: Sequence[str]) -> Spec:
    """Colours for the values of a category, in this order."""
    colours = [COLOURS[place % len(COLOURS)] for place in range(len(domain))]
    return category(name, scale={"domain": list(domain), "range": colours})


def choice(name: str, field: str) -> list[Spec]:
    """A parameter: a click on a value in the legend shows it alone, with shift several."""
    return [{"name": name, "select": {"type": "point", "fields": [field]}, "bind": "legend"}]


def faded(name: str, full: float, faint: float) -> Spec:
    """The opacity of a mark, less where another value is chosen in the legend."""
    return {"condition": {"param": name, "value": full}, "value": faint}


def bars(description: str, rows: Iterable[dict[str, Any]], title: str, kinds: Sequence[str] = ()) -> Spec:
    """Horizontal bars of ``value`` for each ``name``, stacked by ``kind`` if there are several kinds."""
    rows = list(rows)
    names = list(dict.fromkeys(row["name"] for row in rows))
    encoding: Spec = {
        "y": category("name"), "x": number("value", title, zero=True),
        "tooltip": [{"field": name, "type": "nominal"} for name in ("name", *(("kind",) if kinds else ()))]
        + [{"field": "value", "type": "quantitative", "title": title, "format": ",.5~g"}],
    }
    if kinds:
        encoding["color"] = coloured("kind", kinds)
    mark = {"type": "bar"} if kinds else {"type": "bar", "color": COLOURS[0]}
    return spec(description, rows, {"mark": mark, "encoding": encoding}, height=110 + 22 * len(names))


def _round(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
