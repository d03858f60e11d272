"""Drive exchanges in tests: the same observations and signals for all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from teamnet.board.handshake import new_key
from teamnet.dataflow.layers import LayerSpec, UnitSpec
from teamnet.team.board_executor import BoardExecutor
from teamnet.team.executor import Executor
from teamnet.team.free_executor import FreeExecutor
from teamnet.team.local import LocalExecutor
from teamnet.team.node import Node
from teamnet.team.nodes import Nodes
from teamnet.team.partition import divide_all
from teamnet.team.state import State, merge
from teamnet.team.worker import BoardWorker, FreeWorker
from teamnet.team.worker_pool import ThreadPool

Teams = Sequence[Sequence[LayerSpec]]


def threaded(teams: Teams, grain: str, seed: int = 0) -> BoardExecutor:
    """The board exchange with its workers in threads."""
    units = divide_all(teams, grain, seed)
    return BoardExecutor(teams, units, _threads(teams, units, BoardWorker))


def spread(teams: Teams, grain: str, places: Sequence[int], seed: int = 0) -> BoardExecutor:
    """The board exchange of several nodes, each with a board of its own, linked over the loopback interface."""
    units = divide_all(teams, grain, seed)
    key = new_key()
    nodes = [(teams, units, places, number, key, "127.0.0.1") for number in range(max(places) + 1)]
    here, others = Node(*nodes[0]), ThreadPool(Node, nodes[1:])
    return BoardExecutor(teams, units, _threads(teams, units, BoardWorker), Nodes(here, others))


def running_free(teams: Teams, grain: str = "layer", seed: int = 0, worker: type = FreeWorker) -> FreeExecutor:
    """The same without a common tick."""
    units = divide_all(teams, grain, seed)
    return FreeExecutor(teams, units, _threads(teams, units, worker))


def _threads(teams: Teams, units: Sequence[UnitSpec], worker: type) -> ThreadPool:
    return ThreadPool(worker, [(teams, unit) for unit in units])


def local(teams: Teams, grain: str = "layer", seed: int = 0) -> LocalExecutor:
    """The in-process exchange."""
    return LocalExecutor(teams, divide_all(teams, grain, seed))


def drive(executor: Executor, teams: Teams, steps: int, first: int = 0) -> None:
    """Steps ``first`` to ``first + steps - 1`` of a made-up task that depends on nothing but the step."""
    layer = teams[0][0]
    for step in range(first, first + steps):
        observation, delta, keep = signals(layer, step)
        output = teams[0][-1]
        executor.act(observation, keep, valid_actions(output, step) if output.masked else None)
        executor.learn(delta)
    executor.pause()


def valid_actions(output: LayerSpec, step: int) -> np.ndarray:
    """Some of the categories of an output with a single agent, at least one in each row."""
    generator = np.random.default_rng([step, 1])
    valid = (generator.random((output.rows, output.size)) > 0.5).astype(float)
    valid[np.arange(output.rows), generator.integers(output.size, size=output.rows)] = 1.0
    return valid


def signals(layer: LayerSpec, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The observation, the TD error and the rows that keep their trace."""
    generator = np.random.default_rng(step)
    observation, delta = generator.standard_normal((layer.rows, layer.fan_in)), generator.standard_normal(layer.rows)
    return observation, delta, (generator.random(layer.rows) > 0.1).astype(float)


def state_of(executor: Executor, teams: Teams, grain: str, seed: int = 0) -> State:
    """All layers' state."""
    return merge(divide_all(teams, grain, seed), executor.snapshot())


def assert_same(one: State, other: State) -> None:
    """Bit for bit the same arrays under the same names."""
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert np.array_equal(array, other[name]), name
