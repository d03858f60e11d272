"""``teamnet plan``: what a run would cost on a cluster that is described, before anything is started."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from teamnet.cli.former import with_present_names
from teamnet.cli.options import ask_for_task, parse_run_options
from teamnet.cli.terminal import say
from teamnet.errors import SpecError
from teamnet.rules.registry import is_built_in
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.plan.cluster import Cluster
from teamnet.study.plan.factors import FACTORS
from teamnet.study.plan.machine import Machine
from teamnet.study.probe.figures import load_probe
from teamnet.team.address import cluster_address
from teamnet.team.limits import processors
from teamnet.values import check_choice, check_count, check_number

_PURPOSE = (
    "Predict steps a second, bytes, memory and start-up of a run before anything is started.\n\n"
    "The options of train describe the run; --link-latency and --link-bandwidth are those of the links between nodes."
)

_LINKS = "link_latency", "link_bandwidth"
"""Options that describe the cluster here, and make an emulated link slower for train."""
_SECONDS, _REPEATS = 2.0, 3
"""Of the timings of a candidate."""


@dataclass(frozen=True)
class Planning:
    """Which cluster.

    Args:
        nodes: machines, among which the placement chooses; all that were probed, or 1, if left out.
        probe: what teamnet probe has measured on the cluster: cores, speed and links of each node.
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
        objective: of the search: steps (most steps/s), bytes (fewest bytes for a step of an environment) or return
            (most return after --budget seconds, by the learning curves in --curves).
        budget: seconds that a run may take, for the objective return.
        curves: folders with finished runs, of which those with a candidate's spec tell what it learns.
        verify: how many of the best candidates are run and measured: on --address, or without --nodes, --cpus and
            --probe on this machine.
        json: print one JSON object on the last line of the standard output.
    """

    nodes: int | None = None
    probe: Path | None = None
    cpus: int | None = None
    node_memory: int = 64 << 30
    shared_cpus: bool = False
    reserved_cpus: int = 0
    machine: Path | None = None
    calibrate: bool = False
    best: bool = False
    vary: tuple[str, ...] = ()
    objective: Literal["steps", "bytes", "return"] = "steps"
    budget: float = 0.0
    curves: tuple[Path, ...] = ()
    verify: int = 0
    json: bool = False


def plan(arguments: list[str]) -> int:
    """``teamnet plan TASK [options]``."""
    if not arguments or arguments[0].startswith("-"):
        return ask_for_task("plan", arguments)
    spec, launch, planning = parse_run_options("plan", _PURPOSE, Planning, arguments[0], arguments[1:])
    from teamnet.study.plan.machine import uncertainty
    from teamnet.study.plan.predict import lay_out, operations_of, predict

    _check(planning)
    cluster = cluster_of(planning, launch)
    if planning.verify and not cluster_address(launch.address) and not cluster.is_here:
        raise SpecError(
            "verify", expected="--address of the cluster that is described", found="none",
            remedy="Give it, or leave --verify out: runs on this machine say nothing about another cluster.",
        )
    teams, _, _ = lay_out(spec, launch, cluster)
    if planning.best:
        return _search(spec, launch, cluster, planning, arguments)
    machine = machine_of(planning.machine, cluster, [(spec, launch)], full=planning.calibrate)
    prediction = predict(spec, launch, machine, cluster).as_plain()
    if planning.json:
        print(json.dumps(prediction))
        return 0
    for name, value in prediction.items():
        print(f"{name:22} {_show(name, value)}")
    error = uncertainty(machine, operations_of(teams))
    print(f"{'uncertainty':22} about {100 * error:.0f} %{'' if machine.full else ' (20 % after plan --calibrate)'}")
    return 0


def _check(planning: Planning) -> None:
    """Refuse options of the search before anything is measured.

    Raises:
        SpecError: naming the option.
    """
    check_count("verify", planning.verify, 0)
    for name in planning.vary:
        check_choice("vary", name, FACTORS)
    check_number("budget", planning.budget, "0 or more", planning.budget >= 0.0, "Give seconds.")
    for name in ("budget", "curves"):
        if bool(getattr(planning, name)) != (planning.objective == "return"):
            raise SpecError(
                name, expected="--objective return, --budget SECONDS and --curves FOLDERS together",
                found=f"--objective {planning.objective}", remedy="Give all three, or none.",
            )
    usual = Planning()
    for name in ("vary", "verify", "objective"):
        if getattr(planning, name) != getattr(usual, name) and not planning.best:
            raise SpecError(
                name, expected="a search, --best", found="none", remedy="Give --best too, or leave it out."
            )


def _search(
    spec: RunSpec, launch: LaunchSpec, cluster: Cluster, planning: Planning, arguments: list[str]
) -> int:
    from teamnet.study.plan.candidates_table import as_plain, candidates_table
    from teamnet.study.plan.curves import KnownCurves
    from teamnet.study.plan.search import candidates, front, kinds_of_run, measured, ranked, with_returns

    factors = planning.vary or FACTORS
    curves = KnownCurves(planning.curves) if planning.curves else None
    machine = machine_of(planning.machine, cluster, kinds_of_run(spec, launch, factors), full=planning.calibrate)
    found = candidates(spec, launch, machine, cluster, factors)
    found = with_returns(found, curves, planning.budget) if curves else found
    shown, best = front(found), ranked(found, planning.objective)
    checked = []
    for number, each in enumerate(best[:planning.verify], 1):
        say(f"measuring {number} of {min(planning.verify, len(best))}: {train_command(arguments, each.options)}")
        checked.append(measured(each, _SECONDS, _REPEATS))
    checked = with_returns(checked, curves, planning.budget) if curves else checked
    best = ranked(checked, planning.objective) + best[len(checked):]  # a measurement is better than a prediction
    same = next((each for each in best if each.same_results), None)
    if planning.json:
        print(json.dumps({
            "candidates": len(found), "front": [as_plain(each) for each in shown],
            "verified": [as_plain(each) for each in checked], "best": as_plain(best[0]),
            "command": train_command(arguments, best[0].options),
        }))
        return 0
    print(f"{len(found)} candidates; those that no other beats in both steps/s and bytes:\n")
    print("\n".join(candidates_table(shown)))
    if checked:
        print("\nmeasured:\n")
        print("\n".join(candidates_table(checked)))
    print(f"\nbest: {train_command(arguments, best[0].options)}")
    if best[0].known_return is not None:
        print(f"known return after {planning.budget:,g} s: {best[0].known_return:,.2f}")
    if same and same is not best[0]:
        print(f"best with the same results: {train_command(arguments, same.options)}")
    return 0


def train_command(arguments: Sequence[str], options: Mapping[str, Any]) -> str:
    """The command of a candidate: the arguments of ``plan`` without those of planning, with other options."""
    names = (*(field.name for field in fields(Planning)), *_LINKS, *options)
    left_out = {f"--{name.replace('_', '-')}" for name in names}
    kept: list[str] = []
    keep = True
    for argument in with_present_names(arguments):
        if argument.startswith("--"):
            keep = argument.split("=")[0].replace("_", "-").replace("--no-", "--") not in left_out
        if keep:
            kept.append(argument)
    more = [f"--{name.replace('_', '-')} {value}" for name, value in options.items()]
    return " ".join(["teamnet train", shlex.join(kept), *more])


def _show(name: str, value: float | None) -> str:
    if name == "memory":
        return f"{(value or 0) / 2**30:.2f} GiB on the node that needs most"
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"


def cluster_of(planning: Planning, launch: LaunchSpec) -> Cluster:
    """The described cluster.

    Raises:
        SpecError: a value is out of range, or a probe is not one or does not go with other options.
    """
    probe = load_probe(planning.probe) if planning.probe else None
    if probe:
        for name, given in (("cpus", planning.cpus), *((name, getattr(launch, name)) for name in _LINKS)):
            if given:
                raise SpecError(name, expected="none beside --probe", found=str(given), remedy="Leave it out.")
    nodes = len(probe.nodes) if probe else 1
    return Cluster(
        nodes if planning.nodes is None else planning.nodes,
        processors() if planning.cpus is None else planning.cpus, planning.node_memory, launch.link_latency,
        launch.link_bandwidth, planning.shared_cpus or bool(probe and probe.shared_cpus),
        planning.reserved_cpus, probe,
    )


def machine_of(
    path: Path | None, cluster: Cluster, runs: Sequence[tuple[RunSpec, LaunchSpec]], *, full: bool
) -> Machine:
    """The machine with all costs that predictions of some runs need; what has not been measured is measured now.

    Args:
        path: of the calibration; that of this machine in the user's cache if ``None``.
        cluster: the nodes.
        runs: those to be predicted, all of one rule.
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
    address = cluster_address(runs[0][1].address)
    if full or not place.exists():
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
    machine = with_needed(known, runs, cluster, address, say)
    if machine is not known and not different:  # costs of two machines must not be mixed in a file
        own = not is_built_in(type(runs[0][0].rule))  # whose costs are measured anew each time
        of_package = replace(machine, operations=known.operations, far=known.far, quick=known.quick)
        save_machine(of_package if own else machine, place)
    return machine
