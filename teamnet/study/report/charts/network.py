"""The network of a run: layers and their units, what they send to each other in a step, and how long they wait."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from teamnet.study.report.charts.chart import COLOURS, Chart, Section, bars, coloured, spec
from teamnet.study.report.found import FoundRun
from teamnet.team.ledger import COORDINATOR_NAME

_UNIT = re.compile(r"(?P<team>\w+) layer (?P<number>\d+) neurons (?P<first>\d+)-(?P<last>\d+)")
_MOST_UNITS = 24
"""Units of a layer that are drawn; the number of the others is in its label."""
_SPREAD = 0.5
"""Height of a layer's column of units, where a team has the height 1."""
_APART = 0.055
"""How far edges of different kinds between the same layers are apart."""
_ASIDE = 0.28
"""How far to the left of a layer signals of the coordinator come from."""
_TIMES = ("computed", "published", "waited")


def network(runs: Mapping[str, FoundRun]) -> Section:
    """The networks of some runs by name, one at a time."""
    text = (
        "A layer is a column of units. Edges are labelled with the bytes of a step, and as wide as their square root. "
        "A unit is the darker the more of its time it waits; in one process no unit waits."
    )
    return Section("Networks", text, [Chart(name, draw_network(run)) for name, run in runs.items()], choose=True)


def times(runs: Mapping[str, FoundRun]) -> Section:
    """Where the units of some runs spend the time of a step, one run at a time."""
    return Section(
        "Where the time goes", "Each unit in an average step, the busiest first.",
        [Chart(name, _times(name, run.ledger["units"])) for name, run in runs.items()], choose=True,
    )


def _times(name: str, units: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    busiest = sorted(units, key=lambda unit: -unit["computed"])[:_MOST_UNITS]
    rows = [
        {"name": unit["name"], "kind": kind, "value": 1e6 * unit[kind]}
        for unit in busiest for kind in _TIMES if unit[kind] is not None
    ]
    return bars(f"Microseconds of a step of each unit of {name}", rows, "microseconds a step", _TIMES)


def draw_network(run: FoundRun) -> dict[str, Any]:
    """The network of one run."""
    units = list(_units(run.ledger["units"]))
    teams = list(dict.fromkeys(unit["team"] for unit in units))
    rows = {team: float(len(teams) - 1 - place) for place, team in enumerate(teams)}
    depth = max(unit["layer"] for unit in units)
    placed = [
        {
            **unit, "x": float(unit["layer"]),
            "y": rows[unit["team"]] + _SPREAD * (0.5 - (unit["place"] + 0.5) / min(unit["of"], _MOST_UNITS)),
        }
        for unit in units if unit["place"] < _MOST_UNITS
    ]
    edges = list(_edges(run.ledger["flows"], rows, depth))
    kinds = list(dict.fromkeys(edge["kind"] for edge in edges))
    x = {"field": "x", "type": "quantitative", "axis": None, "scale": {"domain": [-0.4, depth + 1.4]}}
    y = {"field": "y", "type": "quantitative", "axis": None, "scale": {"domain": [-0.7, len(teams) - 0.3]}}
    rule = {
        "mark": {"type": "rule", "opacity": 0.75, "strokeCap": "round"},
        "encoding": {
            "x": x, "y": y, "x2": {"field": "x2"}, "y2": {"field": "y2"}, "color": coloured("kind", kinds),
            "strokeWidth": {
                "field": "bytes", "type": "quantitative", "legend": None, "scale": {"type": "sqrt", "range": [0.7, 12]},
            },
            "tooltip": [
                {"field": "from"}, {"field": "to"}, {"field": "kind"},
                {"field": "messages", "title": "messages a step", "format": ","},
                {"field": "bytes", "title": "bytes a step", "format": ","},
            ],
        },
    }
    points = {
        "data": {"values": placed}, "mark": {"type": "circle", "opacity": 1, "stroke": "#888888", "strokeWidth": 0.7},
        "encoding": {
            "x": x, "y": y, "size": {"value": 160},
            "color": {"value": COLOURS[4]} if all(unit["waiting"] is None for unit in placed) else {
                "field": "waiting", "type": "quantitative", "title": "waiting", "legend": {"format": ".0%"},
                "scale": {"scheme": "oranges", "domain": [0, 1]},
            },
            "tooltip": [
                {"field": "name", "title": "unit"}, {"field": "waiting", "format": ".1%"},
                *({"field": time, "title": f"{time}, us a step", "format": ",.4~g"} for time in _TIMES),
            ],
        },
    }
    sizes = {
        "transform": [
            {"filter": f"datum.from != '{COORDINATOR_NAME}' && datum.to != '{COORDINATOR_NAME}'"},
            {"calculate": "(datum.x + datum.x2) / 2", "as": "middle"},
        ],
        "mark": {"type": "text", "fontSize": 10},
        "encoding": {
            "x": {**x, "field": "middle"}, "y": y,
            "text": {"field": "bytes", "type": "quantitative", "format": ",.3~s"},
        },
    }
    labels = {
        "data": {"values": list(_labels(units, rows, depth))},
        "mark": {"type": "text", "fontSize": 12, "baseline": "top"},
        "encoding": {"x": x, "y": y, "text": {"field": "text"}},
    }
    total = run.ledger["total"]
    description = (
        f"Network of {run.name}: {len(units)} units in {len(teams)} teams send {total['messages_per_step']:,.0f} "
        f"messages with {total['bytes_per_step']:,.0f} bytes a step"
    )
    return spec(
        description, edges, rule, sizes, points, labels, height=120 + 170 * len(teams),
        resolve={"scale": {"color": "independent"}},
    )


def _units(units: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Units with their team, layer and place in it; times in microseconds a step."""
    found = [(unit, match) for unit in units if (match := _UNIT.fullmatch(unit["name"]))]
    members: dict[tuple[str, int], int] = {}
    counts: dict[tuple[str, int], int] = {}
    for _, match in found:
        layer = match["team"], int(match["number"])
        counts[layer] = counts.get(layer, 0) + 1
    for unit, match in found:
        layer = match["team"], int(match["number"])
        place = members.get(layer, 0)
        members[layer] = place + 1
        spent = [unit[time] for time in _TIMES]
        yield {
            "name": unit["name"], "team": layer[0], "layer": layer[1], "place": place, "of": counts[layer],
            "neurons": int(match["last"]) + 1,
            "waiting": None if None in spent else unit["waited"] / max(1e-12, sum(spent)),
            **{time: None if unit[time] is None else 1e6 * unit[time] for time in _TIMES},
        }


def _edges(flows: Sequence[Mapping[str, Any]], rows: Mapping[str, float], depth: int) -> Iterator[dict[str, Any]]:
    """The flows between layers with their ends on the drawing."""
    between: dict[frozenset[str], int] = {}
    for flow in flows:
        ends = frozenset((flow["from"], flow["to"]))
        number = 0 if COORDINATOR_NAME in ends else between.get(ends, 0)
        between[ends] = number + 1
        down = _APART * number
        begin, end = (_place(name, flow, rows, depth, at_end) for at_end, name in enumerate((flow["from"], flow["to"])))
        yield {
            "from": flow["from"], "to": flow["to"], "kind": flow["kind"], "messages": flow["messages_per_step"],
            "bytes": flow["bytes_per_step"], "x": begin[0], "y": begin[1] - down, "x2": end[0],
            "y2": end[1] - down,
        }


def _place(
    name: str, flow: Mapping[str, Any], rows: Mapping[str, float], depth: int, at_end: int
) -> tuple[float, float]:
    """Where a layer is, or the coordinator: on the left for observations, on the right for actions, else above."""
    if name != COORDINATOR_NAME:
        team, layer = name.split()
        return float(layer), rows[team]
    other = flow["from"] if at_end else flow["to"]
    team, layer = other.split()
    if at_end:
        return depth + 1.0, rows[team]
    return (0.0, rows[team]) if flow["kind"] == "observation" else (float(layer) - _ASIDE, rows[team] + 0.42)


def _labels(units: Sequence[Mapping[str, Any]], rows: Mapping[str, float], depth: int) -> Iterator[dict[str, Any]]:
    for team, row in rows.items():
        below = row - _SPREAD / 2 - 0.06
        yield {"x": 0.0, "y": below, "text": f"{team}: observation"}
        yield {"x": depth + 1.0, "y": below, "text": "action" if team == "actor" else "value"}
        for layer in range(1, depth + 1):
            its = [unit for unit in units if (unit["team"], unit["layer"]) == (team, layer)]
            if its:
                neurons, count = max(unit["neurons"] for unit in its), its[0]["of"]
                text = f"{neurons:,} neuron{'s' * (neurons > 1)}" + (f", {count:,} units" if count > 1 else "")
                yield {"x": float(layer), "y": below, "text": text}
