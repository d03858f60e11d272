"""A user's rule in studies: its values for tasks, and paper, baselines, comm, sweep, plan and scale with its file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from teamnet.errors import SpecError
from teamnet.kernels.user_file import source_of
from teamnet.rules.loading import reference_of
from teamnet.rules.registry import built_in_rules
from teamnet.spec.change import changed
from teamnet.spec.files import to_plain
from teamnet.spec.presets import preset
from teamnet.spec.resolve import fit_depth
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.experiment.study import Planned
from teamnet.study.interfaces import interface_of
from teamnet.study.paper.methods import PAPER
from teamnet.study.plan.calibrate import with_needed
from teamnet.study.plan.cluster import Cluster
from teamnet.study.plan.machine import PARTS, Cost, Machine, save_machine
from teamnet.study.plan.origin import this_machine
from teamnet.study.sweep.session import SweepSpec
from teamnet.training.session import train
from tests.commands import run_command
from tests.rules.user_rules import PERTURBATION

VALUES = '''

from dataclasses import replace


def usual(run):
    return replace(run, actor=replace(run.actor, rates=(0.3, 0.2, 0.1)), num_envs=2) if run.task == "cartpole" else run


class Valued(NodePerturbation):
    """With values of its own."""

    presets = {"valued": usual}
'''
SLOW = Cost(fixed=1.0)


@pytest.fixture
def valued(tmp_path: Path) -> str:
    (tmp_path / "valued.py").write_text(PERTURBATION + VALUES)
    return f"{tmp_path / 'valued.py'}:Valued"


@pytest.fixture
def plain(tmp_path: Path) -> str:
    (tmp_path / "plain.py").write_text(PERTURBATION)
    return str(tmp_path / "plain.py")


def test_its_values_are_those_of_a_run_by_it(valued: str, plain: str, capsys: pytest.CaptureFixture[str]):
    spec, published = preset("cartpole", valued), preset("cartpole")
    assert (reference_of(type(spec.rule)), spec.num_envs, spec.actor.rates) == (valued, 2, (0.3, 0.2, 0.1))  # type: ignore[union-attr]  # CartPole has an actor
    assert spec.critic == published.critic
    assert preset("acrobot", valued).actor == preset("acrobot").actor
    assert changed(preset("cartpole", plain), rule=published.rule) == published
    for option in ("--rule", "--preset"):
        help_text, _ = run_command(capsys, "train", "cartpole", option, valued, "--help")
        assert "0.3 0.2 0.1" in " ".join(help_text.replace("│", " ").split())
        assert "--scale" in help_text


@pytest.mark.parametrize("wrong", ["return None", "return {}['x']", "return replace(run, rate=1)"])
def test_a_preset_that_fails_is_refused(wrong: str, tmp_path: Path):
    path = tmp_path / "own.py"
    path.write_text(PERTURBATION + VALUES.replace("return replace(", f"{wrong}\n    return replace("))
    line = path.read_text().splitlines().index(f"    {wrong}") + 1
    with pytest.raises(SpecError) as refusal:
        preset("cartpole", f"{path}:Valued")
    assert refusal.value.where == (str(path) if wrong == "return None" else f"{path}:{line}")


def test_a_preset_with_a_rate_too_few_is_refused(tmp_path: Path):
    (tmp_path / "own.py").write_text(PERTURBATION + VALUES.replace("rates=(0.3, 0.2, 0.1)", "rates=(0.3,)"))
    spec = preset("cartpole", f"{tmp_path / 'own.py'}:Valued")
    with pytest.raises(SpecError) as refusal:
        fit_depth(spec, interface_of(spec))
    assert refusal.value.where == "actor.rates"


def test_its_values_are_spread_over_another_depth(valued: str):
    spec = replace(preset("cartpole", valued), hidden=(8, 7, 6))
    assert fit_depth(spec, interface_of(spec)).actor.rates == (0.3, 0.2, 0.2, 0.1)  # type: ignore[union-attr]  # CartPole has an actor
    given = replace(spec, actor=replace(spec.actor, rates=(0.3, 0.2)))  # type: ignore[type-var]
    with pytest.raises(SpecError) as refusal:
        fit_depth(given, interface_of(given))
    assert refusal.value.where == "actor.rates"


def test_the_paper_runs_it_beside_the_others(valued: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ("paper", "--quick", "--tasks", "cartpole", "--methods", "reinforce", valued, "--out", tmp_path / "p")
    run_command(capsys, *arguments)
    lines = [json.loads(line) for line in (tmp_path / "p/quick/results.jsonl").read_text().splitlines()]
    assert [line["method"] for line in lines] == ["reinforce"] * 2 + ["Valued"] * 2
    episodes = lines[0]["spec"]["episodes"]
    spec = replace(preset("cartpole", valued), episodes=episodes, seed=1)
    summary, _ = train(spec, LaunchSpec(backend="local"), None)
    assert lines[3]["digest"] == summary["digest"]
    assert "| `Valued` |" in (tmp_path / "p/quick/results.md").read_text()
    out, _ = run_command(capsys, *arguments)
    assert out.startswith("0 runs done, 4 finished")


def test_methods_of_one_name_are_refused(valued: str, tmp_path: Path):
    (tmp_path / "other.py").write_text(PERTURBATION.replace("NodePerturbation", "Valued"))
    with pytest.raises(SpecError) as refusal:
        PAPER.with_rules((valued, str(tmp_path / "other.py")))
    assert refusal.value.where == "methods"


def test_peers_keeps_its_runs_below_the_given_folder(plain: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    command = ("baselines", "--algorithms", "map", plain, "--episodes", 2, "--out", tmp_path / "out", "--json")
    out, _ = run_command(capsys, *command)
    assert [row["algorithm"] for row in json.loads(out.splitlines()[-1])] == ["map", "NodePerturbation"]
    assert (tmp_path / "out/cartpole/NodePerturbation/seed-0/summary.json").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "plain.py"]


def test_what_it_sends_in_a_step(plain: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    command = ("comm", "cartpole", "--methods", plain, "--backend", "local", "--seconds", 0.1, "--repeats", 1)
    out, _ = run_command(capsys, *command, "--out", tmp_path / "comm", "--json")
    row = json.loads(out.splitlines()[-1])[0]
    # the observation for two teams, two layers upwards and an output in each, the TD error for six layers
    assert (row["methods"], row["ledger"]["total"]["messages_per_step"]) == (plain, 2 + 4 + 2 + 6)
    Path(plain).write_text(PERTURBATION + "# another text\n")
    run_command(capsys, *command, "--out", tmp_path / "comm", code=2)


def test_its_updates_are_measured_after_it_is_checked(
    plain: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    command = (
        "gradients", "--methods", plain, "--hidden", 3, "--units", "gaussian", "--address-bits", 1, "--samples", 2000,
        "--out", tmp_path / "out",
    )
    wrong = PERTURBATION.replace("unit.activation[row, j] - unit.mean[row, j]", "unit.mean[row, unit.size]")
    Path(plain).write_text(wrong)
    _, err = run_command(capsys, *command, code=2)
    assert f"{plain}:{1 + wrong[:wrong.index('unit.size])')].count(chr(10))}" in err
    assert not (tmp_path / "out").exists()
    Path(plain).write_text(PERTURBATION)
    run_command(capsys, *command)
    _, err = run_command(capsys, *command)
    assert err == "", "nothing is missing"
    Path(plain).write_text(PERTURBATION + "# another text\n")
    run_command(capsys, *command, code=2)


def test_a_recorded_run_of_another_text_is_refused_with_both_digests(plain: str, tmp_path: Path):
    spec, former = preset("cartpole", plain), to_plain(preset("cartpole", plain))
    Path(plain).write_text(PERTURBATION + "# another text\n")
    planned = Planned("cartpole", "NodePerturbation", 0, preset("cartpole", plain), tmp_path)
    with pytest.raises(SpecError) as refusal:
        planned.check_spec(former, "results.jsonl:1")
    own, other = (source_of(type(run.rule)) for run in (planned.spec, spec))
    assert own
    assert own.digest[:16] in refusal.value.expected
    assert other
    assert other.digest[:16] in refusal.value.found
    planned.check_spec(to_plain(planned.spec), "results.jsonl:1")


def test_a_sweep_varies_its_values_and_keeps_its_text(valued: str):
    sweep = SweepSpec("cartpole", ("num_envs=1,2",), preset=valued)
    assert sweep.base() == preset("cartpole", valued)
    assert "class Valued" in sweep.settings().content.decode()


def _machine() -> Machine:
    names = {name for rule in built_in_rules().values() for name in rule().operations()}
    costs = dict.fromkeys((name for name in Machine.__dataclass_fields__), 1e-6)
    return Machine(**{  # type: ignore[arg-type]
        **costs, "origin": this_machine(), "full": True, "parts": PARTS, "quick": (),
        "operations": dict.fromkeys(names, SLOW), "far": dict.fromkeys(names, SLOW), "cache": 1,
        "memory": 0, "memory_actor": 0,
    })


def test_its_operations_are_measured_for_predictions(plain: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Also those that are called as an operation of this package, whose cost is another one."""
    machine, said = _machine(), list[str]()
    assert with_needed(machine, [(preset("cartpole"), LaunchSpec("local"))], Cluster(), "", said.append) is machine
    save_machine(machine, tmp_path / "machine.json")
    command = ("plan", "cartpole", "--rule", plain, "--machine", tmp_path / "machine.json", "--backend", "local")
    out, _ = run_command(capsys, *command, "--json")
    predicted = json.loads(out.splitlines()[-1])["env_steps_per_second"]
    assert predicted > 100, "with a cost of one second an operation there were less than one"
    summary, _ = train(replace(_short(plain), env_steps=4000), LaunchSpec(backend="local"), None)
    assert 0.1 < predicted / summary["env_steps_per_second"] < 10.0, "another load than while it was measured"


def _short(rule: str) -> RunSpec:
    return replace(preset("cartpole", rule), episodes=None)


def test_an_unknown_rule_is_refused_by_the_studies(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    missing = tmp_path / "missing.py"
    for command in (
        ("paper", "--methods", missing, "--out", tmp_path / "a"), ("baselines", "--algorithms", missing),
        ("comm", "--methods", missing, "--out", tmp_path / "b"), ("scale", "actors", "--method", missing),
        ("sweep", "cartpole", "--preset", missing, "--vary", "discount=0.9,1", "--out", tmp_path / "c"),
    ):
        run_command(capsys, *command, code=2)
    assert list(tmp_path.iterdir()) == []
