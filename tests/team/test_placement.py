"""Which unit goes to which node, and what is said when there is too little room."""

from __future__ import annotations

import pytest

from teamnet.errors import ResourceError, SpecError
from teamnet.team.partition import divide_all
from teamnet.team.placement import Host, Need, asked_of, check_placement, needs, place, within
from tests.conftest import make_layers

TEAMS = [make_layers((3, 8, 4, 2)), make_layers((3, 8, 4, 1), team="critic", family="gaussian")]
UNITS = divide_all(TEAMS, "layer", 0)
ROOM = Need(4.0, 8 << 30)
HOSTS = [Host("a", "10.0.0.1", ROOM), Host("b", "10.0.0.2", ROOM), Host("c", "10.0.0.3", ROOM)]


@pytest.mark.parametrize(
    ("placement", "places"),
    [
        ("pack", [0, 0, 0, 0, 0, 0]), ("spread", [0, 1, 2, 0, 1, 2]), ("by-team", [0, 0, 0, 1, 1, 1]),
        ("by-layer", [0, 1, 2, 0, 1, 2]),
        ("critic=10.0.0.3,critic.2=10.0.0.2", [0, 0, 0, 2, 1, 2]),
    ],
)
def test_each_strategy(placement: str, places: list[int]):
    check_placement(placement)
    assert place(placement, UNITS, needs(TEAMS, UNITS), HOSTS) == places


@pytest.mark.parametrize(("placement", "places"), [
    ("pack", [1, 1, 1, 1, 1, 1]), ("spread", [1, 2, 1, 2, 1, 2]), ("by-team", [1, 1, 1, 2, 2, 2]),
])
def test_hosts_without_free_cpus_get_no_units(placement: str, places: list[int]):
    hosts = [Host("head", "10.0.0.9", Need(0.0, 8 << 30)), *HOSTS[:2]]
    assert place(placement, UNITS, needs(TEAMS, UNITS), hosts) == places
    assert [host.name for host in within(hosts, 1)] == ["head", "a"]
    assert within(hosts, 0) == hosts
    assert within(HOSTS, 2) == HOSTS[:2]


def test_blocks_of_a_layer_stay_together_by_layer_and_not_when_spread():
    units = divide_all(TEAMS, "block:4", 0)
    needed = needs(TEAMS, units)
    assert place("by-layer", units, needed, HOSTS)[:3] == [0, 0, 1]
    assert place("spread", units, needed, HOSTS)[:3] == [0, 1, 2]


@pytest.mark.parametrize("grain", ["layer", "block:3", "neuron"])
def test_a_team_asks_for_one_cpu_at_every_grain(grain: str):
    units = divide_all(TEAMS, grain, 0)
    cpus = asked_of([0] * len(units), needs(TEAMS, units))[0].cpus
    assert 1.99 <= cpus <= 2.0


def test_packing_goes_on_to_the_next_node_when_one_is_full():
    small = [Host("a", "10.0.0.1", Need(1.0, 8 << 30)), *HOSTS[1:]]
    assert place("pack", UNITS, needs(TEAMS, UNITS), small) == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("placement", ["pack", "by-team"])
def test_too_small_a_cluster_is_told_what_is_asked_and_what_there_is(placement: str):
    small = [Host("a", "10.0.0.1", Need(0.5, 1 << 30)), Host("b", "10.0.0.2", Need(0.25, 1 << 30))]
    with pytest.raises(ResourceError) as refused:
        place(placement, UNITS, needs(TEAMS, UNITS), small)
    message = str(refused.value)
    assert "0.5 CPUs and 1.00 GiB at 10.0.0.1; 0.25 CPUs and 1.00 GiB at 10.0.0.2" in message
    assert ("1.99" in message or "2 CPUs" in message) if placement == "pack" else "at 10.0.0.2; found" in message
    assert "--wait SECONDS" in message


@pytest.mark.parametrize(
    ("placement", "said"),
    [
        ("spred", "Did you mean 'spread'?"), ("actor=", "TEAM=ADDRESS"), ("agent=10.0.0.1", "TEAM=ADDRESS"),
        ("critic.x=10.0.0.1", "TEAM=ADDRESS"),
    ],
)
def test_what_is_no_placement_is_refused(placement: str, said: str):
    with pytest.raises(SpecError, match=said.replace("?", r"\?")):
        check_placement(placement)


def test_a_layer_that_is_not_there_is_refused():
    with pytest.raises(SpecError, match=r"placement: .*found critic.9"):
        place("critic.9=10.0.0.1", UNITS, needs(TEAMS, UNITS), HOSTS)


def test_an_address_without_a_node_is_refused_with_those_that_have_one():
    with pytest.raises(SpecError, match=r"10\.0\.0\.1, 10\.0\.0\.2, 10\.0\.0\.3|10\.0\.0\.3, 10\.0\.0\.2, 10\.0\.0\.1"):
        place("actor=10.9.9.9", UNITS, needs(TEAMS, UNITS), HOSTS)
