"""The ledger of a run for readers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MOST_UNITS = 8


def communication_lines(ledger: Mapping[str, Any]) -> list[str]:
    """What units sent to each other in a step, and where their time went, the busiest units first.

    Args:
        ledger: as :meth:`teamnet.team.ledger.Ledger.as_plain` gives it.
    """
    total, between = ledger["total"], ledger["links"]["between_nodes"]
    lines = [_line("messages a step", f"{total['messages_per_step']:,.1f}, {total['bytes_per_step']:,.0f} bytes")]
    kinds = [f"{kind} {edge['messages_per_step']:,.1f}" for kind, edge in ledger["edges"].items() if edge["messages"]]
    lines.append(_line("", ", ".join(kinds)))
    if between["messages"]:
        text = f"{between['messages_per_step']:,.1f} messages, {between['bytes_per_step']:,.0f} bytes a step"
        lines.append(_line("between nodes", text))
    if ledger["exchanges_per_step"] is not None:
        lines.append(_line("exchanges a step", f"{ledger['exchanges_per_step']}, sequential"))
    if ledger["straggler"] is None:
        return [*lines, _line("microseconds a step", "no step was timed")]
    units = sorted(ledger["units"], key=lambda unit: -unit["computed"])
    heading = "computing" if units[0]["waited"] is None else "computing  publishing  waiting  of it in transfer"
    lines.append(_line("microseconds a step", heading))
    for unit in units[:_MOST_UNITS]:
        times = [unit[name] for name in ("computed", "published", "waited", "transferred") if unit[name] is not None]
        numbers = "  ".join(f"{1e6 * time:{width}.1f}" for time, width in zip(times, (9, 10, 7, 17), strict=False))
        mark = ", the bottleneck" if unit["name"] == ledger["straggler"] else ""
        lines.append(_line("", f"{numbers}  {unit['name']}{mark}"))
    if len(units) > _MOST_UNITS:
        lines.append(_line("", f"and {len(units) - _MOST_UNITS} more units in summary.json"))
    return lines


def _line(name: str, value: str) -> str:
    return f"{name:22} {value}"
