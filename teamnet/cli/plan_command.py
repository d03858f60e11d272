"""``teamnet plan``: what a run would cost on a cluster that is described, before anything is started."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from teamnet.cli.options import ask_for_task, parse_run_options
from teamnet.cli.terminal import say
from teamnet.spec.run import LaunchSpec
from teamnet.study.plan.cluster import Cluster
from teamnet.study.plan.machine import Machine
from teamnet.team.address import cluster_address
from teamnet.team.limits import processors

_PURPOSE = (
    "Predict steps a second, bytes, memory and start-up of a run before anything is started.\n\n"
    "The options of train describe the run; --link-latency and --link-bandwidth are those of the links between nodes."
)


@dataclass(frozen=True)
class Planning:
    """Which cluster.

    Args:
        nodes: machines, among which the placement chooses.
        cpus: cores of each; those of this machine that this process may use, if left out.
        node_memory: bytes of each.
        shared_cpus: all nodes are on one machine, as network namespaces are.
        reserved_cpus: CPUs that each node reports to Ray, if these are not its cores.
        machine: the file of a calibration; made by one, which takes about seven minutes, if it is not there.
        calibrate: calibrate anew.
        json: print one JSON object on the last line of the standard output.
    """

    nodes: int = 1
    cpus: int | None = None
    node_memory: int = 64 << 30
    shared_cpus: bool = False
    reserved_cpus: int = 0
    machine: Path = Path("runs/machine.json")
    calibrate: bool = False
    json: bool = False


def plan(arguments: list[str]) -> int:
    """``teamnet plan TASK [options]``."""
    if not arguments or arguments[0].startswith("-"):
        return ask_for_task("plan", arguments)
    spec, launch, planning = parse_run_options("plan", _PURPOSE, Planning, arguments[0], arguments[1:])
    from teamnet.study.plan.operations import with_own_rule
    from teamnet.study.plan.predict import lay_out, predict

    cluster = cluster_of(planning, launch)
    lay_out(spec, launch, cluster)
    machine = with_own_rule(machine_of(planning.machine, cluster, launch, anew=planning.calibrate), spec, say)
    prediction = predict(spec, launch, machine, cluster).as_plain()
    if planning.json:
        print(json.dumps(prediction))
        return 0
    for name, value in prediction.items():
        print(f"{name:22} {_show(name, value)}")
    return 0


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


def machine_of(path: Path, cluster: Cluster, launch: LaunchSpec, *, anew: bool) -> Machine:
    """The calibrated machine, calibrated now if that has not been done.

    Raises:
        SpecError: the file is none that calibration wrote.
    """
    from teamnet.study.plan.calibrate import calibrate
    from teamnet.study.plan.machine import check_place, load_machine, save_machine

    if anew or not path.exists():
        check_place(path)
        say(f"calibrating this machine for {path}; nothing else should run on it")
        save_machine(calibrate(cluster, cluster_address(launch.address), say), path)
    return load_machine(path)
