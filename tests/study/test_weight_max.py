"""Weight maximisation: its presets, what a step sends, its published numbers, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from teamnet.dataflow.graph import Dataflow
from teamnet.errors import SpecError
from teamnet.kernels.unit_types import UNIT_TYPES
from teamnet.rules.backpropagation import Backpropagation
from teamnet.rules.weight_max import WeightMaximisation
from teamnet.spec.change import changed
from teamnet.spec.check import check_run
from teamnet.spec.presets import preset
from teamnet.spec.run import RunSpec
from teamnet.study.experiment.recorded import Recorded
from teamnet.study.experiment.report import write_report
from teamnet.study.experiment.study import Study
from teamnet.study.experiment.traffic import ledger_of
from teamnet.study.paper.methods import METHODS as PAPER_METHODS
from teamnet.study.weight_max.methods import METHODS, TASKS, WEIGHT_MAX
from tests.commands import run_command
from tests.conftest import make_layers
from tests.study.studies import made_up_run


@pytest.mark.parametrize(("task", "actor", "final", "critic", "steps", "decay", "episodes", "temperature"), [
    ("cartpole", (2e-2, 2e-4, 2e-5), (2e-4, 2e-6, 2e-7), (4e-2, 4e-5, 4e-6), 50_000, 0.8, 1000, 1.0),
    ("acrobot", (0.1, 1e-3, 1e-4), (1e-2, 1e-4, 1e-5), (1e-2, 1e-5, 1e-6), 1_000_000, 0.8, 1000, 1.0),
    ("lunarlander", (8e-2, 8e-4, 8e-5), (8e-2, 8e-4, 8e-5), (2e-2, 2e-5, 2e-6), 0, 0.9, 3000, 2.0),
])
def test_presets_have_the_published_values(task, actor, final, critic, steps, decay, episodes, temperature):
    for method, traces in (("weight-max", 0.0), ("weight-max-traces", decay)):
        spec = preset(task, method)
        assert spec.actor is not None
        assert spec.critic is not None
        check_run(spec)
        assert (spec.anneal_steps, spec.episodes, spec.discount) == (steps, episodes, 0.98)
        assert spec.actor.rates == actor
        assert spec.actor.final_rates == pytest.approx(final)
        assert (spec.actor.trace_lambda, spec.actor.temperature) == (traces, temperature)
        assert (spec.critic.rates, spec.critic.trace_lambda) == (critic, decay)
        assert (type(spec.critic.rule), spec.critic.exploration) == (Backpropagation, 0.0)
    assert preset("cartpole", "weight-max").critic.final_rates == pytest.approx((4e-3, 4e-5, 4e-6))


def test_the_multiplexer_has_four_address_bits_and_single_samples():
    spec = preset("multiplexer", "weight-max")
    assert (spec.address_bits, spec.num_envs, spec.env_steps) == (4, 1, 800_000)
    assert spec.actor is not None
    assert spec.actor.rates == (1e-2, 1e-3, 1e-4)


def test_a_step_of_cartpole_is_one_exchange_up_and_one_down():
    ledger, ours = ledger_of(preset("cartpole", "weight-max")), ledger_of(preset("cartpole"))
    assert (ledger.total.messages, ledger.exchanges) == (18, 7)
    assert ledger.total.bytes < 0.05 * ours.total.bytes
    assert ledger.edges["activation"][1] == 8 * (64 + 32) + 8 + 4, "the critic's numbers, and the actor's bits"
    deep = preset("cartpole", "weight-max")
    team = [make_layers(
        (4, 8, 6, 2), schedule="weight-max", family="reference", hidden_types=("bernoulli",) * 2
    )]
    readers = Dataflow(team).readers(("td_error", "", 0))
    assert readers == [("actor", 3)], "only output units hear the TD error"
    early = ledger_of(changed(deep, early_reward=True))
    assert (early.total, early.exchanges) == (ledger.total, ledger.exchanges)


def test_the_last_category_is_the_one_that_others_are_compared_with():
    preactivation = np.array([[1.0, -2.0, 7.0], [0.0, 0.0, -3.0]])
    mean = UNIT_TYPES["reference"].mean(preactivation, "linear", 2.0)
    scores = np.exp(np.array([[1.0, -2.0, 0.0], [0.0, 0.0, 0.0]]) / 2.0)
    np.testing.assert_allclose(mean, scores / scores.sum(1, keepdims=True), rtol=1e-15)
    np.testing.assert_allclose(
        UNIT_TYPES["reference"].mean(np.array([[0.8, 5.0]]), "linear", 1.0)[0, 0], 1 / (1 + np.exp(-0.8)), rtol=1e-15
    )


def test_in_the_table_of_map_propagation_it_has_the_same_episodes():
    for task in ("cartpole", "acrobot", "lunarlander"):
        spec = PAPER_METHODS["weight-max"].spec(task, 4)
        assert isinstance(spec, RunSpec)
        assert spec.episodes == preset(task).episodes
        assert replace(spec, episodes=None) == replace(preset(task, "weight-max"), seed=4, episodes=None)


def test_what_it_cannot_train_is_refused():
    spec = preset("cartpole", "weight-max")
    with pytest.raises(SpecError, match="bernoulli"):
        check_run(replace(spec, layers=()))
    assert spec.critic is not None
    with pytest.raises(SpecError) as caught:
        check_run(preset("regression", "weight-max"))
    assert caught.value.where == "rule"
    critic = make_layers(
        (4, 8, 1), team="critic", family="gaussian", schedule="weight-max", hidden_types=("bernoulli",)
    )
    with pytest.raises(SpecError) as caught:
        Dataflow([critic])
    assert caught.value.where == "critic.rule"
    assert WeightMaximisation().adam_epsilon == 1e-8


def test_the_report_compares_with_the_published_numbers(tmp_path: Path):
    study = Study(tmp_path, WEIGHT_MAX)
    for seed in range(3):
        made_up_run(study, "acrobot", "weight-max", seed, [-100.0 - seed] * 1000)
        made_up_run(study, "acrobot", "early", seed, [-300.0 - seed] * 1000)
    text = write_report(study, Recorded())[0].read_text()
    assert "| Acrobot-v1, `weight-max` | 3 | -101.00 (1.00) | -97.05 (2.90) | -3.95 |" in text
    assert "| Acrobot-v1, `early` | 3 | -301.00 (1.00) | -97.05 (2.90) | -203.95 |" in text
    assert set(TASKS) == {task for method in METHODS.values() for task in method.tasks}


def test_the_command_trains_and_evaluates(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    run_command(
        capsys, "train", "cartpole", "--preset", "weight-max", "--episodes", 60, "--backend", "local", "--out",
        tmp_path / "run",
    )
    out, _ = run_command(capsys, "eval", tmp_path / "run", "--episodes", 3, "--greedy")
    assert "mean return" in out
    run_command(capsys, "paper", "--of", "nothing", "--out", tmp_path / "paper", code=2)
    assert not (tmp_path / "paper").exists()
