"""The benchmark's table."""

from __future__ import annotations

import json as json_format
import sys
from dataclasses import asdict

from teamnet.errors import SpecError
from teamnet.rules.map_propagation import MapPropagation
from teamnet.study.bench.cases import cases
from teamnet.study.bench.measure import Result, ledger_cost, measure
from teamnet.study.snapshots import EVERY, snapshot_cost
from teamnet.values import check_choice, check_count

_LEDGER, _SNAPSHOTS = "ledger", "snapshots"


def bench(
    repeats: int = 5, steps: int = 5000, only: tuple[str, ...] = (), neuron: bool = False, json: bool = False
) -> int:
    """Measure speed and memory, each compared with plain NumPy, or with one process, timed in the same run.

    ``teamnet compare`` shows two outputs of --json side by side.

    Args:
        repeats: how often each configuration and its reference are timed.
        steps: environment steps of a fast configuration in one timing.
        only: names of configurations (local, local-16, local-512, multiplexer, wide-128, wide-8, wide-1, ray-layer,
            ray-layer-busy, ray-recomputed, ray-frugal, ray-block, ray-calls, ray-neuron, ray-two, ray-512, ray-deep,
            ledger, snapshots); all but ray-neuron if left out.
        neuron: also measure neuron granularity, which needs 13 GiB and some minutes.
        json: print one JSON object a line instead of a table.

    Raises:
        SpecError: a name is not known, a number is too small, or options contradict each other.
    """
    check_count("repeats", repeats, 1)
    check_count("steps", steps, 1)
    if only and neuron:
        raise SpecError(
            "neuron", expected="one of --only and --neuron", found="both", remedy="Add ray-neuron to --only instead.",
        )
    known = cases(steps)
    chosen = only or (*(name for name, case in known.items() if neuron or case.usual), _LEDGER, _SNAPSHOTS)
    for name in chosen:
        check_choice("only", name, (*known, _LEDGER, _SNAPSHOTS))
    if not json:
        print(_HEADER)
    for name in chosen:
        print(f"measuring {name}", file=sys.stderr)
        if name == _LEDGER:
            _show_ledger(ledger_cost(3 * repeats, steps), as_json=json)
        elif name == _SNAPSHOTS:
            _show_snapshots(repeats, as_json=json)
        else:
            result = measure(name, known[name], repeats)
            print(json_format.dumps(asdict(result)) if json else _line(result), flush=True)
    return 0


_HEADER = (
    f"{'configuration':26} {'actors':>6} {'steps/s':>9} {'reference':>9}       {'ratio':>7} {'start':>7} "
    f"{'memory':>9} {'growth':>8}"
)


def _line(result: Result) -> str:
    return (
        f"{result.title:26} {result.actors:6} {result.rate:9,.1f} {result.reference:9,.1f} {result.against:5} "
        f"{result.ratio:6.2f}x {result.startup_seconds:5.1f} s "
        f"{result.megabytes:6.0f} MB {result.growth:5.1f} MB"
    )


def _show_ledger(cost: float, *, as_json: bool) -> None:
    plain = json_format.dumps({"name": _LEDGER, "cost": cost})
    print(plain if as_json else f"ledger: {100 * cost:.2f} % of the processor time", flush=True)


def _show_snapshots(repeats: int, *, as_json: bool) -> None:
    for method in (MapPropagation.name, "frugal"):
        cost = snapshot_cost(12 * repeats, method)
        plain = json_format.dumps({"name": _SNAPSHOTS, "method": method, **cost._asdict()})
        shown = (
            f"snapshots, {method}: {EVERY:,} steps with one take {100 * cost.whole:.1f} % longer, the team waits "
            f"{100 * cost.stopped:.1f} % or {cost.seconds:.4f} s"
        )
        print(plain if as_json else shown, flush=True)
