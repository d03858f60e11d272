"""A probe of two hosts whose link is late, each with a Ray node of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cluster.hosts import Hosts

pytestmark = pytest.mark.cluster
THERE, BACK = 2e-3, 4e-3
"""Seconds by which packets are late."""


def test_a_probe_finds_how_late_a_link_is_and_a_plan_takes_it(tmp_path: Path):
    with Hosts(2, seconds=[[0.0, THERE], [BACK, 0.0]]) as hosts:
        out = hosts.teamnet("probe", "--out", str(tmp_path / "probe"), "--json")
        planned = [
            json.loads(hosts.teamnet(
                "plan", "cartpole", "--preset", "backprop", "--placement", placement, "--machine",
                str(tmp_path / "machine.json"), "--probe", str(tmp_path / "probe" / "probe.json"), "--json",
            ).splitlines()[-1])
            for placement in ("pack", "by-layer")
        ]
        hosts.teamnet(
            "scale", "cluster", "cartpole", "--method", "backprop", "--hidden", "6", "--seconds", "0.05", "--repeats",
            "1", "--machine", str(tmp_path / "machine.json"), "--out", str(tmp_path / "scaled"), seconds=500,
        )
    found = json.loads(out.splitlines()[-1])
    assert found["shared_cpus"], "both hosts are on this machine"
    assert [node["address"] for node in found["nodes"]] == hosts.addresses
    for link in found["links"]:
        median, _, _ = link["messages"][0][1]
        assert median >= (THERE + BACK) / 2, "half of a round trip"
    alone, together = (run["env_steps_per_second"] for run in planned)
    for factor in ("nodes", "weak-nodes"):
        lines = (tmp_path / "scaled" / factor / "scale.jsonl").read_text().splitlines()
        one, two = (json.loads(line) for line in lines)
        assert (one["nodes"], two["nodes"], two["failed"]) == (1, 2, False)
        most = two["batches"] / THERE
        assert two["measured"] < most, "a step takes longer than a message"
    assert (tmp_path / "scaled" / "report.html").exists()
    assert together < alone
