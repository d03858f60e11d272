"""An environment step as a timeline of its units, from a trace for Perfetto: the last step of the trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from teamnet.study.report.charts.chart import Chart, Section, category, coloured, number, spec

_MOST_UNITS = 32
_KINDS = ("compute", "publish", "wait")


def timeline(traces: Mapping[str, Mapping[str, Any]]) -> Section:
    """The traces that were found, one at a time."""
    text = (
        "What the coordinator and each unit do in the last step that was traced. teamnet trace and comm --trace write "
        "such traces; ui.perfetto.dev shows all of their steps."
    )
    charts = [Chart(name, _draw(name, trace)) for name, trace in traces.items()]
    return Section("Timelines", text, charts, choose=True)


def _draw(name: str, trace: Mapping[str, Any]) -> dict[str, Any]:
    events = trace["traceEvents"]
    units = {
        (event["pid"], event["tid"]): f"{event['args']['name']} (node {event['pid']})"
        for event in events if event["ph"] == "M" and event["name"] == "thread_name"
    }
    shown = dict(list(units.items())[:_MOST_UNITS])
    spans = [event for event in events if event["ph"] == "X" and (event["pid"], event["tid"]) in shown]
    last = max((event["args"]["step"] for event in spans), default=0)
    spans = [event for event in spans if event["args"]["step"] == last]
    start = min((event["ts"] for event in spans), default=0.0)
    rows = [
        {
            "unit": shown[event["pid"], event["tid"]], "kind": event["cat"], "what": event["name"],
            "begin": float(event["ts"] - start), "end": float(event["ts"] + event["dur"] - start),
            "length": float(event["dur"]),
        }
        for event in spans
    ]
    bar = {
        "mark": {"type": "bar", "height": {"band": 0.8}},
        "encoding": {
            "x": number("begin", "microseconds", zero=True), "x2": {"field": "end"},
            "y": category("unit"), "color": coloured("kind", _KINDS),
            "opacity": {"condition": {"test": "datum.kind == 'wait'", "value": 0.25}, "value": 1},
            "tooltip": [
                {"field": "unit"}, {"field": "what"}, {"field": "begin", "title": "at, us", "format": ",.5~g"},
                {"field": "length", "title": "us", "format": ",.4~g"},
            ],
        },
    }
    return spec(f"Timeline of a step: {name}", rows, bar, height=60 + 24 * len(shown))
