"""The Ray shell on a cluster that somebody else started."""

from __future__ import annotations

import time
import urllib.request
from contextlib import suppress
from dataclasses import replace

import pytest
import ray
from ray.cluster_utils import Cluster

import teamnet
from teamnet.errors import ResourceError, TeamnetError
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.team import installation
from teamnet.training.run import Run


@pytest.fixture
def cluster():
    its = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    its.add_node(num_cpus=2)
    yield its
    ray.shutdown()
    its.shutdown()


def test_placement_and_transport_change_no_bit_on_two_nodes(cluster: Cluster):
    spec = replace(preset("cartpole"), hidden=(5, 4), env_steps=60, episodes=None)
    places = [
        LaunchSpec("local"), LaunchSpec(address=cluster.address),
        LaunchSpec(address=cluster.address, placement="spread"),
        LaunchSpec(address=cluster.address, placement="by-team", grain="block:2"),
        LaunchSpec(address=cluster.address, placement="by-layer", transport="ray"),
    ]
    digests = set()
    for launch in places:
        run = Run(spec, launch)
        while not run.done:
            run.advance()
        digests.add(run.summary()["digest"])
        run.close()
    assert len(digests) == 1


def test_a_run_that_the_cluster_cannot_hold_is_refused_with_what_is_asked_and_what_there_is(cluster: Cluster):
    spec = replace(preset("cartpole"), env_steps=10, episodes=None)
    ray.init(cluster.address, log_to_driver=False)
    holder = ray.remote(num_cpus=2)(_Holder).remote()
    other = ray.remote(num_cpus=1)(_Holder).remote()
    ray.get([holder.ready.remote(), other.ready.remote()])
    with pytest.raises(ResourceError, match=r"the cluster: expected 2 CPUs and .*found.*1 CPUs and.*--wait"):
        Run(spec, LaunchSpec(address=cluster.address))
    ray.kill(holder)
    said = []
    run = Run(spec, LaunchSpec(address=cluster.address, wait=30.0), say=said.append)
    assert run.summary()["actors"] == 6
    assert "6 of 6 actors started" in said
    run.close()
    Run(spec, LaunchSpec(address=cluster.address)).close()  # at once, before Ray reports the CPUs as free


@pytest.mark.parametrize(("launch", "where"), [
    (LaunchSpec(placement="actor=10.9.9.9"), "placement"),
    (LaunchSpec(address="10.9.9.9:6379"), "address 10.9.9.9:6379"),
])
def test_what_is_asked_of_a_cluster_counts_on_a_connection_of_the_users_own(
    launch: LaunchSpec, where: str, cluster: Cluster
):
    ray.init(cluster.address, log_to_driver=False)
    with pytest.raises(TeamnetError) as refused:
        Run(replace(preset("cartpole"), env_steps=10, episodes=None), launch)
    assert refused.value.where == where


def test_another_installation_on_a_node_is_refused(cluster: Cluster, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(installation, "installation", lambda: "another")  # here, and not in the actors
    with pytest.raises(ResourceError) as refused:
        Run(replace(preset("cartpole"), env_steps=10, episodes=None), LaunchSpec(address=cluster.address))
    assert refused.value.where.startswith("teamnet on node ")
    assert teamnet.__version__ in refused.value.found


class _Holder:
    def ready(self) -> None:
        """It is there."""


def test_prometheus_sees_the_ledger(cluster: Cluster):
    from teamnet.team.ray_metrics import RayMetrics  # it declares metrics, for which Ray must be there

    spec = replace(preset("cartpole"), hidden=(5, 4), env_steps=70, episodes=None)
    run = Run(spec, LaunchSpec(address=cluster.address))
    while not run.done:
        run.advance()
    ledger = run.ledger()
    RayMetrics({"task": "cartpole"}).show(ledger)
    expected = float(ledger.edges["activation"].messages)
    assert expected > 70 * 84
    end, found = time.monotonic() + 60, []
    while not found and time.monotonic() < end:
        time.sleep(1)
        for node in ray.nodes():
            page = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
            with suppress(OSError), urllib.request.urlopen(page, timeout=5) as answer:
                lines = answer.read().decode().splitlines()
                found += [line for line in lines if line.startswith("ray_teamnet_messages{") and "activation" in line]
    run.close()
    assert {float(line.rsplit(" ", 1)[1]) for line in found} == {expected}
    assert all('task="cartpole"' in line for line in found)


def test_a_private_cluster_that_does_not_start_is_a_documented_error(monkeypatch: pytest.MonkeyPatch):
    from teamnet.team import ray_session

    def fail(**options: object) -> None:
        raise Exception("The current node timed out during startup.\nSee the logs.")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    message = "Ray: expected a private cluster on this machine; found The current node timed out .*--backend local"
    with pytest.raises(ResourceError, match=message):
        ray_session.acquire("")


def test_what_raylets_report_goes_to_the_standard_error(capsys: pytest.CaptureFixture[str]):
    from teamnet.team import ray_init

    usual = ray._private.worker.print_to_stdstream
    with ray_init._raylets_off_the_output():
        report = ray._private.worker.print_to_stdstream
        report({"lines": ["WARNING: 8 PYTHON worker processes have been started on node"]}, ignore_prefix=False)
        report({"lines": ["a worker was killed for lack of memory"]}, ignore_prefix=False)
    assert ray._private.worker.print_to_stdstream is usual, "for a Ray of the user's own"
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "a worker was killed for lack of memory\n"
