"""A probe as tables for a terminal and for Markdown, and as a heat map of the links."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations

import numpy as np

from teamnet.study.experiment.figure import as_png, new_figure
from teamnet.study.experiment.table import ABSENT, markdown
from teamnet.study.probe.figures import Message, Probe, Rate

_MESSAGES = (
    "bytes", "latency, us (50 %)", "90 %", "99 %", "plain socket", "ratio", "bandwidth, MB/s", "plain socket", "ratio"
)


def probe_table(probe: Probe) -> str:
    """All tables, in Markdown: nodes, handovers, memory and arithmetic, and the messages of every pair."""
    parts = [node_table(probe)]
    for node in probe.nodes:
        parts += [
            f"## Node {node.address}", "Between two of its processes:", _message_table(node.messages),
            "Handover from one process to another:",
            markdown(("where", "the other one waits by", "us (50 %)", "90 %", "99 %", "through a pipe"), [
                [each.place, each.policy, *(_microseconds(value) for value in (*each.seconds, each.pipe))]
                for each in node.handovers
            ]),
            "One core:",
            markdown(("what", "teamnet", "library", "ratio"), [
                *(_rate(f"copying {each.of}, GB/s", each) for each in node.copies),
                *(_rate(f"product {each.of}, Gflop/s", each) for each in node.products),
            ]),
        ]
    for link in probe.links:
        names = probe.nodes[link.source].address, probe.nodes[link.target].address
        parts += [f"## From {names[0]} to {names[1]}", _message_table(link.messages)]
    return "\n\n".join(parts)


def node_table(probe: Probe) -> str:
    """A Markdown table, a line for each node: its speed, and its links to the others."""
    rows = []
    for number, node in enumerate(probe.nodes):
        pairs = [(number, other) for other, _ in enumerate(probe.nodes) if other != number]
        latency, bandwidth = ([measure(probe, *pair) for pair in pairs] for measure in (Probe.latency, Probe.bandwidth))
        rows.append([
            node.address, node.origin.processor, str(node.origin.cores), f"{node.memory / 2**30:.1f}",
            f"{node.steps:,.0f}", f"{probe.speed(number):.2f}", _range(latency, 1e6), _range(bandwidth, 1e-6),
        ])
    return markdown(
        ("node", "processor", "cores", "memory, GiB", "steps/s", "speed", "link latency, us", "bandwidth, MB/s"), rows
    )


def _range(values: Sequence[float], unit: float) -> str:
    if not values:
        return ABSENT
    least, most = (f"{unit * value:,.0f}" for value in (min(values), max(values)))
    return least if least == most else f"{least} to {most}"


def _message_table(messages: Sequence[Message]) -> str:
    return markdown(_MESSAGES, [
        [
            f"{each.size:,}", *map(_microseconds, (*each.latency, each.plain_latency)),
            f"{each.latency.p50 / each.plain_latency:.2f}", f"{each.bandwidth / 1e6:,.0f}",
            f"{each.plain_bandwidth / 1e6:,.0f}", f"{each.bandwidth / each.plain_bandwidth:.2f}",
        ] for each in messages
    ])


def _microseconds(seconds: float) -> str:
    return f"{1e6 * seconds:,.2f}"


def _rate(name: str, rate: Rate) -> list[str]:
    return [name, f"{rate.rate / 1e9:.1f}", f"{rate.plain / 1e9:.1f}", f"{rate.rate / rate.plain:.2f}"]


def draw_probe(probe: Probe) -> bytes:
    """A PNG file: link latency and bandwidth from each of two or more nodes, a row, to each other, a column."""
    count = len(probe.nodes)
    names = [node.address for node in probe.nodes]
    size = 2.2 + 0.55 * count
    figure, panels = new_figure(2, 2, size + 0.8, size)
    quantities: tuple[tuple[str, Callable[[Probe, int, int], float], float], ...] = (
        ("latency beyond that within a node, us", Probe.latency, 1e6), ("bandwidth, MB/s", Probe.bandwidth, 1e-6),
    )
    for axes, (title, measure, unit) in zip(panels.flat, quantities, strict=True):
        values = np.full((count, count), np.nan)
        for pair in permutations(range(count), 2):
            values[pair] = unit * measure(probe, *pair)
        scale = "log" if np.nanmin(values) > 0.0 else "linear"
        image = axes.imshow(values, cmap="viridis" if unit < 1.0 else "viridis_r", norm=scale)
        for row, column in permutations(range(count), 2):
            dark = (image.norm(values[row, column]) > 0.5) == (unit > 1.0)
            shown = f"{values[row, column]:,.0f}"
            axes.text(column, row, shown, ha="center", va="center", color="white" if dark else "black")
        axes.set_xticks(range(count), names, rotation=45, ha="right")
        axes.set_yticks(range(count), names)
        axes.set_xlabel("to")
        axes.set_ylabel("from")
        axes.set_title(title, fontsize="medium")
        figure.colorbar(image, ax=axes, shrink=0.8)
    return as_png(figure)
