"""What a cluster refuses, where it takes others to bring it about: each answer of Ray's is given here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import ray

from teamnet.errors import ResourceError, SpecError
from teamnet.spec.run import LaunchSpec
from teamnet.team import await_nodes, ray_placement, ray_start, ray_tasks
from teamnet.team.placement import Host, Need

ROOM = Need(4.0, 8 << 30)
HOSTS = [Host("a", "10.0.0.1", ROOM), Host("b", "10.0.0.2", ROOM)]


def test_a_team_that_runs_free_stays_on_one_node():
    spread: Any = SimpleNamespace(hosts=HOSTS)
    with pytest.raises(SpecError, match="placement: expected one node for a team that runs free; found 2 nodes"):
        ray_start._check_spread(LaunchSpec(), spread, free_running=True)


def test_what_others_took_meanwhile_is_said(monkeypatch: pytest.MonkeyPatch):
    removed = []
    group, lease = SimpleNamespace(wait=lambda seconds: False), cast(Any, None)
    monkeypatch.setattr(ray_placement, "placement_group", lambda *asked, **options: group)
    monkeypatch.setattr(ray_placement, "remove_placement_group", removed.append)
    message = "the cluster: expected 1.5 CPUs and .* to be reserved within 30 s; found they were taken .*--wait"
    with pytest.raises(ResourceError, match=message):
        ray_placement._take(lease, HOSTS, [0, 1], [Need(1.0, 1 << 30), Need(0.5, 1 << 30)])
    assert removed == [group]


def test_an_interrupted_reservation_is_removed(monkeypatch: pytest.MonkeyPatch):
    def interrupted(seconds: float) -> bool:
        raise KeyboardInterrupt

    removed = []
    group, lease = SimpleNamespace(wait=interrupted), cast(Any, None)
    monkeypatch.setattr(ray_placement, "placement_group", lambda *asked, **options: group)
    monkeypatch.setattr(ray_placement, "remove_placement_group", removed.append)
    with pytest.raises(KeyboardInterrupt):
        ray_placement._take(lease, HOSTS, [0, 1], [Need(1.0, 1 << 30), Need(0.5, 1 << 30)])
    assert removed == [group]


def test_a_cluster_without_processors_does_no_jobs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"memory": 1.0})
    with pytest.raises(ResourceError, match="the Ray cluster: expected at least one CPU for the jobs; found none"):
        ray_tasks._cpus()


def test_nodes_that_do_not_come_are_counted(monkeypatch: pytest.MonkeyPatch):
    released = []
    lease = SimpleNamespace(release=lambda: released.append(1))
    monkeypatch.setattr(await_nodes, "acquire", lambda address: lease)
    monkeypatch.setattr(await_nodes, "count_nodes", lambda: 2)
    monkeypatch.setattr(await_nodes, "_LOOK_EVERY", 0.01)
    await_nodes.await_nodes("head:6379", 2, seconds=5.0)
    with pytest.raises(ResourceError, match="address head:6379: expected 3 nodes within 0.1 s; found 2 nodes"):
        await_nodes.await_nodes("head:6379", 3, seconds=0.1)
    assert len(released) > 1
