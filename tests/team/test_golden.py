"""What the official code computed, to 1e-9, wherever the units run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from teamnet.errors import CheckpointError
from teamnet.spec.run import LaunchSpec
from teamnet.study.golden import replay as replaying
from teamnet.study.golden.files import read_golden
from teamnet.study.golden.map_propagation import layers_of
from teamnet.study.golden.replay import TOLERANCE, replay
from teamnet.study.reference import ReferenceTeam
from teamnet.team.board_executor import BoardExecutor
from teamnet.team.worker import BoardWorker
from teamnet.team.worker_pool import ThreadPool
from tests.conftest import GOLDEN

BY_NAME = {path.stem: path for path in GOLDEN}
LEARNED = {"learned_w", "learned_b", "trace_w", "trace_b"}
QUANTITIES = [LEARNED | {"forward_mean", "settled_h", "settled_mean"}, LEARNED | {"mean", "reward"}]
"""Of files of MAP propagation, and of weight maximisation."""
MAP_PROPAGATION = [path for path in GOLDEN if not path.stem.startswith("weight_max")]

pytestmark = pytest.mark.usefixtures("shared_ray")


def _assert_replayed(name: str, errors: dict[str, float]) -> None:
    assert errors.keys() == QUANTITIES[name.startswith("weight_max")]
    assert max(errors.values()) < TOLERANCE


def test_all_files_are_here():
    assert (len(MAP_PROPAGATION), len(GOLDEN)) == (5, 8)


@pytest.mark.parametrize("grain", ["layer", "block:5", "neuron"])
@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_local(path: Path, grain: str):
    _assert_replayed(path.stem, replay(path, LaunchSpec("local", "board", grain)))


@pytest.mark.parametrize("grain", ["layer", "block:16"])
@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_board_in_threads(path: Path, grain: str, monkeypatch: pytest.MonkeyPatch):
    def start(launch, teams, units, noise):
        workers = [(teams, unit, block) for unit, block in zip(units, noise, strict=True)]
        return BoardExecutor(teams, units, ThreadPool(BoardWorker, workers))

    monkeypatch.setattr(replaying, "start_exchange", start)
    _assert_replayed(path.stem, replay(path, LaunchSpec("local", "board", grain)))


@pytest.mark.parametrize(
    ("name", "transport", "grain"),
    [
        *((name, "board", "layer") for name in BY_NAME), *((name, "ray", "layer") for name in BY_NAME),
        ("critic_cartpole", "board", "block:16"), ("actor_gaussian_batch4", "ray", "block:8"),
        ("actor_relu_three_hidden", "board", "neuron"), ("weight_max_traces_batch3", "board", "neuron"),
    ],
)
def test_ray(name: str, transport: str, grain: str):
    _assert_replayed(name, replay(BY_NAME[name], LaunchSpec("ray", transport, grain)))


@pytest.mark.parametrize("path", MAP_PROPAGATION, ids=lambda path: path.stem)
def test_the_numpy_reference(path: Path):
    arrays, meta = read_golden(path)
    layers = layers_of(meta)
    numbers = range(1, len(layers) + 1)
    team = ReferenceTeam(layers, [arrays[f"init_w{n}"] for n in numbers], [arrays[f"init_b{n}"] for n in numbers])
    for step in range(meta["env_steps"]):
        noise = [
            (arrays[f"t{step}_sampled_h{n}"] - arrays[f"t{step}_forward_mean{n}"]) / np.sqrt(layers[n - 1].variance)
            if layers[n - 1].family == "gaussian"
            else ((arrays[f"t{step}_forward_mean{n}"].cumsum(1) - arrays[f"t{step}_forward_mean{n}"] / 2)
                  * arrays[f"t{step}_sampled_h{n}"]).sum(1, keepdims=True)
            for n in numbers
        ]
        team.act(arrays[f"t{step}_obs"], noise)
        if step > 0:
            team.learn(arrays[f"t{step}_delta"], step)
        team.settle()
        team.trace(arrays[f"t{step}_keep_trace"].astype(float))
        for n in numbers:
            np.testing.assert_allclose(team.parameters[n - 1][:-1], arrays[f"t{step}_learned_w{n}"], atol=1e-11)
            np.testing.assert_allclose(team.traces[n - 1][:, :-1], arrays[f"t{step}_trace_w{n}"], atol=1e-10)
            np.testing.assert_allclose(team.activations[n], arrays[f"t{step}_settled_h{n}"], atol=1e-11)


def test_a_file_that_is_no_golden_file_is_refused(tmp_path: Path):
    (tmp_path / "a.npz").write_bytes(GOLDEN[0].read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="expected a golden file"):
        replay(tmp_path / "a.npz", LaunchSpec("local"))


def test_a_file_with_an_array_missing_is_refused(tmp_path: Path):
    arrays = dict(np.load(BY_NAME["actor_relu_three_hidden"], allow_pickle=False))
    for missing in ("init_w2", "t1_sampled_h1", "t4_trace_b3"):
        np.savez(tmp_path / "c.npz", **{name: array for name, array in arrays.items() if name != missing})
        with pytest.raises(CheckpointError, match=f"expected a golden file.*KeyError.*{missing}"):
            replay(tmp_path / "c.npz", LaunchSpec("local"))


@pytest.mark.parametrize("name", ["mean2", "reward1", "reward3", "learned_w2", "learned_b3", "trace_w1", "trace_b2"])
def test_an_altered_file_of_weight_maximisation_does_not_pass(name: str, tmp_path: Path):
    arrays = dict(np.load(BY_NAME["weight_max_traces_batch3"], allow_pickle=False))
    arrays[f"t3_{name}"] = arrays[f"t3_{name}"] + 1e-8
    np.savez(tmp_path / "b.npz", **arrays)
    errors = replay(tmp_path / "b.npz", LaunchSpec("local"))
    assert [quantity for quantity, error in errors.items() if error > TOLERANCE] == [name[:-1]]


def test_a_file_of_weight_maximisation_with_an_array_missing_is_refused(tmp_path: Path):
    arrays = dict(np.load(BY_NAME["weight_max_cartpole"], allow_pickle=False))
    for missing in ("init_w2", "t1_reward2", "t4_trace_b3", "t0_mean1"):
        np.savez(tmp_path / "c.npz", **{name: array for name, array in arrays.items() if name != missing})
        with pytest.raises(CheckpointError, match=f"expected a golden file.*KeyError.*{missing}"):
            replay(tmp_path / "c.npz", LaunchSpec("local"))


def test_an_altered_file_does_not_pass(tmp_path: Path):
    arrays = dict(np.load(BY_NAME["actor_relu_three_hidden"], allow_pickle=False))
    arrays["t3_settled_h2"] = arrays["t3_settled_h2"] + 1e-8
    np.savez(tmp_path / "b.npz", **arrays)
    errors = replay(tmp_path / "b.npz", LaunchSpec("local"))
    assert errors["settled_h"] == pytest.approx(1e-8, rel=1e-3)
    assert errors["learned_w"] < TOLERANCE
