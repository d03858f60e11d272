"""``teamnet scale cluster``: a probe, strong and weak scaling over the nodes of a cluster, and a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from teamnet.spec.run import LaunchSpec
from teamnet.study.communication.grid import Configuration
from teamnet.study.plan.cluster import Cluster
from teamnet.study.plan.machine import Machine
from teamnet.study.probe.figures import load_probe
from teamnet.study.probe.files import FILES, JSON, PICTURE, write_probe
from teamnet.study.probe.session import probe
from teamnet.study.probe.table import node_table
from teamnet.study.rates import Precision
from teamnet.study.report.collect import collect
from teamnet.study.report.page import check_page, write_page
from teamnet.study.scaling.points import Point, points_of
from teamnet.study.scaling.session import run_scaling
from teamnet.study.scaling.table import scaling_table
from teamnet.training.owned_files import OwnedFiles

FACTORS = {
    "nodes": "Strong scaling: the same work on more nodes", "weak-nodes": "Weak scaling: work grows with the nodes",
}
_FILES = (*FILES, "report.md")


class Scaled(NamedTuple):
    """What was scaled.

    Args:
        report: in Markdown.
        failed: points whose measurement failed.
    """

    report: str
    failed: int


def scale_cluster(
    task: str, base: Configuration, launch: LaunchSpec, precision: Precision, *,
    describe: Callable[[Path], Cluster], calibrated: Callable[[Cluster, Sequence[Point]], Machine], out: Path,
    overwrite: bool, say: Callable[[str], None],
) -> Scaled:
    """Probe a cluster, and scale a run over 1, 2, 4, .. and all of its nodes; what a folder has is not done again.

    Args:
        task: a preset's name.
        base: the configuration that is scaled.
        launch: with the address of the cluster.
        precision: of the timings.
        describe: called with the file of the probe; returns the cluster.
        calibrated: called with the cluster and the points; returns the machine that predictions need.
        out: gets the probe, the folders ``nodes`` and ``weak-nodes`` as ``teamnet scale`` writes them, ``report.md``
            and ``report.html``.
        overwrite: whether to replace the results of an earlier call.
        say: called with progress messages.

    Raises:
        TeamnetError: a value or the folder is refused, or a node does not answer.
    """
    files, page = OwnedFiles(out, "cluster"), out / "report.html"
    files.check(_FILES)
    check_page(page)
    if overwrite or not (out / JSON).exists():
        write_probe(files, probe(launch.address, say))
    found, cluster = load_probe(out / JSON), describe(out / JSON)
    parts = ["# Scaling over the nodes of a cluster", f"## {len(found.nodes)} nodes", node_table(found)]
    parts += [f"![Latency and bandwidth of each link]({PICTURE})"] if found.links else []
    failed = 0
    for factor, title in FACTORS.items():
        points = points_of(factor, (), base, cluster, launch)
        rows, failures = run_scaling(
            task, factor, points, lambda points=points: calibrated(cluster, points), precision, measured=True,
            out=out / factor, overwrite=overwrite, say=say,
        )
        failed += failures
        parts += [f"## {title}", scaling_table(rows), f"![Speed-up and efficiency]({factor}/scale.png)"]
    report = "\n\n".join(parts)
    files.write("report.md", f"{report}\n".encode())
    write_page(collect([out]), page)
    return Scaled(report, failed)
