"""No kernel reads or writes beyond what it is given: all of it lies between pages that nobody may touch."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from teamnet.dataflow.graph import Dataflow
from teamnet.kernels.hidden import FUNCTIONS
from teamnet.kernels.native import native
from teamnet.rules.registry import built_in_rules
from teamnet.study.plan.build import build_world
from teamnet.study.plan.cluster import Cluster
from teamnet.study.plan.predict import teams_of
from teamnet.study.plan.simulation import simulate
from teamnet.team.partition import divide_all
from teamnet.team.prepare import ENTRIES, compile_rules
from teamnet.units.code import compile_function
from teamnet.units.layout import GROUPS, synapses_of, unit_of
from tests.kernels.guarded import name_of
from tests.study.test_plan import ENVIRONMENT, USUAL, small


@pytest.mark.timeout(900)  # some six hundred processes
@pytest.mark.parametrize("side", ["after", "before"])
def test_no_kernel_goes_out_of_bounds(side: str):
    for entry in ENTRIES:
        native(*entry)
    compile_rules()
    compile_function("sigmoid")
    command = [sys.executable, "-m", "tests.kernels.bounds", side]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    cases = [json.loads(line) for line in done.stdout.splitlines()]
    wrong = {case["case"]: case["ended"] for case in cases if case["ended"] != case["expected"]}
    assert not wrong, done.stderr
    assert sum(case["expected"] == 0 for case in cases) > 240
    assert sum(case["expected"] != 0 for case in cases) > 300, "what must crash does"
    rules = [kind() for kind in built_in_rules().values()]
    needed = {".".join(entry) for entry in ENTRIES} | {f"function.{name}" for name in (*FUNCTIONS, "sigmoid")}
    needed |= {f"rule.{type(rule).__name__}" for rule in rules}
    needed |= {name_of(operation) for rule in rules for operation in rule.operations().values()}
    assert {name for case in cases for name in case["called"]} == needed
    moved = {case["case"].partition(" moved, ")[0] for case in cases if case["expected"] != 0}
    assert {name for rule in rules for name in (*unit_of(rule).arrays, *unit_of(rule).records)} <= moved
    assert {f"{group}.{name}" for rule in rules for name in synapses_of(rule).arrays for group in GROUPS} <= moved


def test_more_messages_than_a_simulation_has_room_for_are_an_error():
    """No protocol has so many: here nobody waits for what is sent, and nothing ever arrives."""
    teams = teams_of(small())
    units = divide_all(teams, "layer", 0)
    world = build_world(Dataflow(teams), units, [0, 1, 0, 1, 0, 1], USUAL, Cluster(2, 1), ENVIRONMENT)
    with pytest.raises(RuntimeError, match="messages"):
        simulate(world._replace(latency=world.latency + 1e9, needs=world.needs * np.array([1, 0])), 2000)
