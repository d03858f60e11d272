"""Probes: what is measured on this machine, between nodes in threads, and what plans make of it."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from teamnet.errors import SpecError
from teamnet.spec.run import LaunchSpec
from teamnet.study.plan.cluster import Cluster
from teamnet.study.plan.origin import this_machine
from teamnet.study.probe import session
from teamnet.study.probe.figures import (
    Handover,
    Link,
    Message,
    NodeProbe,
    Probe,
    Rate,
    Times,
    load_probe,
    percentiles,
    to_json,
)
from teamnet.study.probe.messages import measure_messages, measure_within
from teamnet.study.probe.node import ProbeNode
from teamnet.study.probe.table import draw_probe, probe_table
from teamnet.team.cores import pairs_of_cores
from teamnet.team.worker_pool import ThreadPool
from tests.commands import run_command
from tests.study.test_plan import USUAL, WORKING, seconds, small

PNG = b"\x89PNG"


def message(latency: float, bandwidth: float, size: int = 8) -> Message:
    return Message(size, Times(latency, 2 * latency, 3 * latency), latency, bandwidth, bandwidth)


def probe_of(latencies: list[list[float]], steps: tuple[float, ...], within: float = 1e-5) -> Probe:
    """A probe whose nodes differ in speed and whose links in latency, beyond that within a node."""
    nodes = tuple(
        NodeProbe(
            f"10.0.0.{number + 1}", replace(this_machine(), cores=2 + number), 8 << 30, (message(within, 1e9),),
            (Handover("one core", "yield", Times(1e-6, 1e-6, 1e-6), 2e-6),), (Rate("1 MiB", 1e10, 1e10),),
            (Rate("1 x 64 x 32", 1e10, 1e9),), speed,
        ) for number, speed in enumerate(steps)
    )
    links = tuple(
        Link(source, target, (
            message(within + latencies[source][target], 1e6), message(1.0, 1e8 * (1 + source), 1 << 20),
        )) for source, _ in enumerate(nodes) for target, _ in enumerate(nodes) if source != target
    )
    return Probe(nodes, links)


TWO = probe_of([[0.0, 1e-3], [2e-3, 0.0]], (1000.0, 500.0))


def test_percentiles_are_those_of_numpy_in_seconds():
    times = np.arange(1, 102) * 1000
    assert percentiles(times, 0.5) == pytest.approx((25.5e-6, 45.5e-6, 50e-6))


def test_a_probe_survives_its_file(tmp_path: Path):
    path = tmp_path / "probe.json"
    path.write_text(json.dumps(to_json(TWO)))
    assert load_probe(path) == TWO


@pytest.mark.parametrize("change", [
    {"nodes": []}, {"links": []}, {"nodes": [1, 2]}, {"shared_cpus": None, "links": 3}, {"links": [{}]},
])
def test_other_files_are_refused(tmp_path: Path, change: dict[str, object]):
    path = tmp_path / "probe.json"
    path.write_text(json.dumps(to_json(TWO) | change))
    with pytest.raises(SpecError) as error:
        load_probe(path)
    assert error.value.where == "probe"


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), "fast"])
def test_a_probe_without_a_speed_is_refused(tmp_path: Path, value: object):
    plain = json.loads(json.dumps(to_json(TWO)))
    plain["nodes"][1]["steps"] = value
    (tmp_path / "probe.json").write_text(json.dumps(plain))
    with pytest.raises(SpecError):
        load_probe(tmp_path / "probe.json")


def test_a_cluster_is_as_it_was_probed():
    cluster = Cluster(2, probe=TWO)
    assert np.allclose(cluster.latencies(), [[0.0, 1e-3], [2e-3, 0.0]])
    assert np.allclose(cluster.byte_seconds(), [[0.0, 1e-8], [5e-9, 0.0]])
    assert cluster.slowness().tolist() == [1.0, 2.0]
    assert [(host.address, host.free.cpus) for host in cluster.hosts()] == [("10.0.0.1", 2.0), ("10.0.0.2", 3.0)]
    assert cluster.pools() == ([0, 1], [2, 3])


def test_a_cluster_has_no_more_nodes_than_were_probed():
    with pytest.raises(SpecError) as error:
        Cluster(3, probe=TWO)
    assert error.value.where == "nodes"


@pytest.mark.parametrize("latency", [0.0, 1e-4, 1e-2])
def test_equal_links_are_predicted_as_those_that_are_described(latency: float):
    alike = probe_of([[0.0, latency], [latency, 0.0]], (1000.0, 1000.0))
    links = tuple(
        replace(link, messages=(link.messages[0], message(1.0, 1e8, 1 << 20))) for link in alike.links
    )
    nodes = tuple(replace(node, origin=this_machine()) for node in alike.nodes)
    probed = Cluster(2, probe=replace(alike, nodes=nodes, links=links))
    described = Cluster(2, this_machine().cores, link_latency=latency, link_bandwidth=1e8)
    launch = LaunchSpec(placement="by-layer")
    expected = seconds(small(), launch, USUAL, described)
    assert seconds(small(), launch, USUAL, probed) == pytest.approx(expected, rel=1e-6)


def test_a_slower_node_computes_as_much_longer():
    """Where a node is so slow that nothing else matters, half its speed takes twice as long."""
    def step(speed: float) -> float:
        cluster = Cluster(2, probe=probe_of([[0.0, 0.0], [0.0, 0.0]], (1000.0, speed)))
        return seconds(small("backprop"), LaunchSpec(placement="actor=10.0.0.2,critic=10.0.0.2"), WORKING, cluster)

    assert step(1000.0) < step(500.0)
    assert step(0.5) / step(1.0) == pytest.approx(2.0, rel=0.01)


def test_messages_within_this_machine():
    found = measure_within("127.0.0.1", (8, 4096))
    assert [each.size for each in found] == [8, 4096]
    for each in found:
        assert 0.0 < each.latency.p50 <= each.latency.p90 <= each.latency.p99
        assert each.latency.p50 < 0.1 > each.plain_latency > 0.0
    assert found[1].bandwidth > found[0].bandwidth > 0.0
    assert found[1].plain_bandwidth > found[0].plain_bandwidth > 0.0


def test_links_are_measured_between_all_nodes_in_their_order(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("teamnet.study.probe.node.measure_messages", partial(measure_messages, sizes=(8, 512)))
    pool = ThreadPool(ProbeNode, [("127.0.0.1", bytes(32), number, 3) for number in range(3)])
    with closing(pool):
        endpoints = [endpoint for endpoint, _ in pool.results(pool.call("where", [()] * 3))]
        links = session.measure_links(pool, endpoints, lambda message: None)
        pool.results(pool.call("close", [()] * 3))
    assert [(link.source, link.target) for link in links] == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    assert all(link.messages[0].latency.p50 > 0.0 for link in links)


def test_the_tables_and_the_heat_map():
    table = probe_table(TWO)
    assert "| 10.0.0.2 |" in table
    assert "| 0.50 | 2,000 | 200 |" in table, "half as fast, 2 ms and 200 MB/s from it"
    assert "From 10.0.0.2 to 10.0.0.1" in table
    assert draw_probe(TWO).startswith(PNG)


def test_the_command_measures_this_machine_and_a_plan_takes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "probe"
    printed, _ = run_command(capsys, "probe", "--out", out, "--json")
    node = json.loads(printed.splitlines()[-1])["nodes"][0]
    found = load_probe(out / "probe.json")
    assert json.loads(json.dumps(asdict(found.nodes[0]))) == node
    assert {each.place for each in found.nodes[0].handovers} == set(pairs_of_cores())
    assert all(rate.rate > 0.0 and rate.plain > 0.0 for rate in found.nodes[0].copies + found.nodes[0].products)
    assert (out / "probe.md").read_text().startswith("# Probe")
    _, refused = run_command(capsys, "probe", "--out", out, code=2)
    assert refused.startswith("teamnet: out: "), "there is one already"
    _, refused = run_command(capsys, "plan", "cartpole", "--probe", out / "probe.json", "--cpus", "4", code=2)
    assert refused.startswith("teamnet: cpus: "), "the probe has counted them"


@pytest.mark.parametrize(("siblings", "sockets", "allowed", "pairs"), [
    ({}, {}, {0}, {"one core": (0, 0)}),
    ({}, {}, {1, 3}, {"one core": (1, 1), "two cores": (1, 3)}),
    ({0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}, {}, {0, 1, 2, 3},
     {"one core": (0, 0), "two threads of a core": (0, 2), "two cores": (0, 1)}),
    ({}, {0: 0, 1: 0, 2: 1, 3: 1}, {0, 1, 2, 3}, {"one core": (0, 0), "two cores": (0, 1), "two sockets": (0, 2)}),
    ({}, {0: 0, 1: 1}, {0, 1}, {"one core": (0, 0), "two sockets": (0, 1)}),
])
def test_pairs_of_cores(
    tmp_path: Path, siblings: dict[int, str], sockets: dict[int, int], allowed: set[int],
    pairs: dict[str, tuple[int, int]],
):
    for number in allowed:
        folder = tmp_path / f"sys/devices/system/cpu/cpu{number}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(siblings.get(number, str(number)))
        (folder / "physical_package_id").write_text(str(sockets.get(number, 0)))
    assert pairs_of_cores(tmp_path, allowed) == pairs
