"""``teamnet plan``: what a run would cost on a cluster that is described, before anything is started."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from teamnet.cli.options import ask_for_task, parse_run_options
from teamnet.cli.terminal import say
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.plan.cluster import Cluster
from teamnet.study.plan.machine import Machine
from teamnet.team.address import cluster_address
from teamnet.team.limits import processors
from teamnet.values import check_count

_PURPOSE = (
    "Predict steps a second, bytes, memory and start-up of a run before anything is started.\n\n"
    "The options of train describe the run; --link-latency and --link-bandwidth are those of the links between nodes."
)

_SECONDS, _REPEATS = 2.0, 3
"""Of the timings of a candidate."""


@dataclass(frozen=True)
class Planning:
    """Which cluster.

    Args:
        nodes: machines, among which the placement chooses.
        cpus: cores of each; those of this machine that this process may use, if left out.
        node_memory: bytes of each.
        shared_cpus: all nodes are on one machine, as network namespaces are.
        reserved_cpus: CPUs that each node reports to Ray, if these are not its cores.
        machine: the file of a calibration; that of this machine in the user's cache if left out. What it lacks is
            measured, in some 25 seconds.
        calibrate: calibrate in full, which takes about seven minutes and halves the error of predictions.
        best: search for the fastest run, or that with the fewest bytes, over what --vary names.
        vary: what the search tries: backend, grain, placement, nodes and feedback change no result; schedule,
            message_dtype and batch do. All if left out.
        objective: of the search: steps (most steps/s) or bytes (fewest bytes for a step of an environment).
        verify: how many of the best candidates are run and measured, on --address or on this machine.
        json: print one JSON object on the last line of the standard output.
    """

    nodes: int = 1
    cpus: int | None = None
    node_memory: int = 64 << 30
    shared_cpus: bool = False
    reserved_cpus: int = 0
    machine: Path | None = None
    calibrate: bool = False
    best: bool = False
    vary: tuple[str, ...] = ()
    objective: Literal["steps", "bytes"] = "steps"
    verify: int = 0
    json: bool = False


def plan(arguments: list[str]) -> int:
    """``teamnet plan TASK [options]``."""
    if not arguments or arguments[0].startswith("-"):
        return ask_for_task("plan", arguments)
    spec, launch, planning = parse_run_options("plan", _PURPOSE, Planning, arguments[0], arguments[1:])
    from teamnet.study.plan.machine import uncertainty
    from teamnet.study.plan.predict import lay_out, predict

    cluster = cluster_of(planning, launch)
    lay_out(spec, launch, cluster)
    machine = machine_of(planning.machine, cluster, spec, launch, full=planning.calibrate)
    if planning.best:
        return _search(spec, launch, machine, cluster, planning, arguments)
    prediction = predict(spec, launch, machine, cluster).as_plain()
    if planning.json:
        print(json.dumps(prediction))
        return 0
    for name, value in prediction.items():
        print(f"{name:22} {_show(name, value)}")
    print(f"{'uncertainty':22} about {100 * uncertainty(machine):.0f} % ({_kind(machine)} calibration)")
    return 0


def _kind(machine: Machine) -> str:
    return "full" if machine.full else "quick; --calibrate measures more in seven minutes, a"


def _search(
    spec: RunSpec, launch: LaunchSpec, machine: Machine, cluster: Cluster, planning: Planning, arguments: list[str]
) -> int:
    from teamnet.study.plan.candidates_table import as_plain, candidates_table
    from teamnet.study.plan.search import FACTORS, candidates, front, measured, ranked

    check_count("verify", planning.verify, 0)
    found = candidates(spec, launch, machine, cluster, planning.vary or FACTORS)
    shown = front(found)
    best = ranked(found, planning.objective)
    checked = []
    for number, each in enumerate(best[:planning.verify], 1):
        say(f"measuring {number} of {planning.verify}: {train_command(arguments, each.options)}")
        checked.append(measured(each, _SECONDS, _REPEATS))
    if planning.json:
        print(json.dumps({
            "candidates": len(found), "front": [as_plain(each) for each in shown],
            "verified": [as_plain(each) for each in checked],
        }))
        return 0
    same = [each for each in best if each.same_results]
    print(f"{len(found)} candidates; those that no other beats in both steps/s and bytes:\n")
    print("\n".join(candidates_table(shown)))
    if checked:
        print("\nmeasured:\n")
        print("\n".join(candidates_table(checked)))
    print(f"\nbest: {train_command(arguments, best[0].options)}")
    if not best[0].same_results:
        print(f"best with the same results: {train_command(arguments, same[0].options)}")
    return 0


def train_command(arguments: Sequence[str], options: Mapping[str, Any]) -> str:
    """The command of a candidate: the arguments of ``plan`` without those of planning, with other options."""
    left_out = {f"--{field.name.replace('_', '-')}" for field in fields(Planning)} | {
        f"--{name.replace('_', '-')}" for name in options
    }
    kept: list[str] = []
    keep = True
    for argument in arguments:
        if argument.startswith("--"):
            keep = argument.split("=")[0].replace("--no-", "--") not in left_out
        if keep:
            kept.append(argument)
    more = [f"--{name.replace('_', '-')} {value}" for name, value in options.items() if name != "nodes"]
    return " ".join(["teamnet train", shlex.join(kept), *more])


def _show(name: str, value: float | None) -> str:
    if name == "memory":
        return f"{(value or 0) / 2**30:.2f} GiB on the node that needs most"
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"


def cluster_of(planning: Planning, launch: LaunchSpec) -> Cluster:
    """The described cluster."""
    return Cluster(
        planning.nodes, planning.cpus or processors(), planning.node_memory, launch.link_latency,
        launch.link_bandwidth, planning.shared_cpus, planning.reserved_cpus,
    )


def machine_of(path: Path | None, cluster: Cluster, spec: RunSpec, launch: LaunchSpec, *, full: bool) -> Machine:
    """The machine with all costs that the prediction of a run needs; what has not been measured is measured now.

    Args:
        path: of the calibration; that of this machine in the user's cache if ``None``.
        cluster, spec, launch: the run.
        full: calibrate in full first.

    Raises:
        SpecError: the file is none that calibration wrote.
        TeamnetError: a run of the calibration failed.
    """
    from teamnet.study.plan.calibrate import calibrate, with_needed
    from teamnet.study.plan.machine import check_place, load_machine, save_machine
    from teamnet.study.plan.operations import new_machine
    from teamnet.study.plan.origin import this_machine, usual_path

    place = path or usual_path()
    address = cluster_address(launch.address)
    check_place(place)
    if full:
        say(f"calibrating this machine for {place}, about seven minutes; nothing else should run on it")
        known = calibrate(cluster, address, say)
        save_machine(known, place)
    else:
        known = load_machine(place) if place.exists() else new_machine()
    different = known.origin.differences(this_machine())
    if different:
        say(f"note: {place} was calibrated elsewhere, or with other versions than here: {'; '.join(different)}")
    machine = with_needed(known, spec, launch, address, say)
    if machine is not known and not different:  # costs of two machines must not be mixed in a file
        save_machine(machine, place)
    return machine
