"""The Ray shell on a cluster that somebody else started."""

from __future__ import annotations

from dataclasses import replace

import pytest
import ray
from ray.cluster_utils import Cluster

from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.team.ray_cluster import disconnect
from teamnet.training.run import Run


def test_units_on_a_cluster_of_two_nodes_share_the_coordinators_memory():
    disconnect()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        spec = replace(preset("cartpole"), hidden=(5, 4), env_steps=60, episodes=None)
        digests = []
        for launch in (LaunchSpec(address=cluster.address, grain="block:2"), LaunchSpec("local")):
            run = Run(spec, launch)
            while not run.done:
                run.advance()
            digests.append(run.summary()["digest"])
            run.close()
        assert digests[0] == digests[1]
    finally:
        disconnect()
        cluster.shutdown()


def test_what_raylets_report_goes_to_the_standard_error(capsys: pytest.CaptureFixture[str]):
    from teamnet.team import ray_cluster

    ray_cluster._keep_raylets_off_the_output()
    report = ray._private.worker.print_to_stdstream
    report({"lines": ["WARNING: 8 PYTHON worker processes have been started on node"]}, ignore_prefix=False)
    report({"lines": ["a worker was killed for lack of memory"]}, ignore_prefix=False)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "a worker was killed for lack of memory\n"
