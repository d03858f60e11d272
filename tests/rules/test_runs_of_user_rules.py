"""Runs by a user's rule: from the command line, from Python, resumed, interpreted, and refused with another file."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from teamnet import TeamAgent, TrainedPolicy
from teamnet.errors import CheckpointError, SpecError
from teamnet.kernels.user_file import Source
from teamnet.rules.loading import find_rule
from teamnet.spec.change import changed
from teamnet.spec.files import from_plain
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.check.bench import CheckFailed
from teamnet.study.check.checks import interpreted
from teamnet.study.check.conduct import every_choice, learns_from_the_step_before
from teamnet.training.checkpoint import checksum
from teamnet.training.saving import IfPresent, Saving
from teamnet.training.session import resume, train
from tests.commands import run_command
from tests.rules.user_rules import EXPLORER, PERTURBATION

EXAMPLE = Path(__file__).parents[2] / "examples/own_rule.py"
LOCAL = LaunchSpec(backend="local")


@pytest.fixture
def spec(tmp_path: Path) -> RunSpec:
    return _spec(tmp_path)


def _spec(folder: Path, text: str = PERTURBATION) -> RunSpec:
    (folder / "own.py").write_text(text)
    return changed(
        preset("cartpole"), rule=str(folder / "own.py"), scale=0.5, hidden=(9, 6), env_steps=400, episodes=None
    )


def test_the_example_learns_the_multiplexer_with_two_address_bits():
    assert len(EXAMPLE.read_text().splitlines()) <= 60
    options = {"address_bits": 2, "backend": "local", "rule": str(EXAMPLE), "env_steps": 400_000}
    with TeamAgent("multiplexer", **options) as agent:
        agent.learn(env_steps=200_000)
        first = agent.summary()["mean_return"]
        agent.learn(env_steps=200_000)
        both = agent.summary()["mean_return"]
    assert 2 * both - first > 0.7, "of at most 1, where chance is 0"


def test_its_settings_are_options(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    (tmp_path / "own.py").write_text(PERTURBATION)
    common = ("train", "cartpole", "--rule", tmp_path / "own.py", "--backend", "local", "--env-steps", 50, "--json")
    digests = []
    for more in ((), ("--scale", "1.0"), ("--scale", "2.0")):
        out, _ = run_command(capsys, *common, *more)
        digests.append(json.loads(out.splitlines()[-1])["digest"])
    assert digests[0] == digests[1] != digests[2]
    run_command(capsys, *common, "--scale", "much", code=2)
    help_text, _ = run_command(capsys, "train", "cartpole", "--rule", tmp_path / "own.py", "--help")
    assert "--scale" in help_text
    assert "of the credit" in help_text


def test_python_gives_a_class_or_a_rule_with_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "own_rules.py").write_text(PERTURBATION)
    monkeypatch.syspath_prepend(str(tmp_path))
    kind = find_rule("own_rules:NodePerturbation")
    digests = []
    for rule in (kind, kind(), kind(scale=1.0), kind(scale=0.1), str(tmp_path / "own_rules.py")):
        with TeamAgent("cartpole", rule=rule, backend="local", hidden=(5,)) as agent:
            agent.learn(env_steps=60)
            digests.append(agent.summary()["digest"])
    assert digests[0] == digests[1] == digests[2] == digests[4] != digests[3]
    with pytest.raises(SpecError) as refusal:
        TeamAgent("cartpole", rule="own_rules:NodePerturbation", scales=1.0, backend="local")
    assert refusal.value.where == "scales"


def test_a_run_keeps_its_file_and_is_resumed_without_it(spec: RunSpec, tmp_path: Path):
    whole = train(spec, LOCAL, None)[0]
    train(replace(spec, env_steps=200), LOCAL, tmp_path / "run", saving=Saving(every=100))
    kept = json.loads((tmp_path / "run/spec.json").read_text())
    assert kept["spec"]["rule"]["source"] == PERTURBATION
    assert kept["sha256"] == {"rule": hashlib.sha256(PERTURBATION.encode()).hexdigest()}
    (tmp_path / "own.py").unlink()
    assert resume(tmp_path / "run", env_steps=400)[0]["digest"] == whole["digest"]


def test_another_file_is_refused_and_both_are_named(spec: RunSpec, tmp_path: Path):
    train(replace(spec, env_steps=200), LOCAL, tmp_path / "run", saving=Saving(every=100))
    other = PERTURBATION + "\n# another text\n"
    changed_spec = _spec(tmp_path, other)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}
    with pytest.raises(CheckpointError) as refusal:
        train(changed_spec, LOCAL, tmp_path / "run", if_present=IfPresent.RESUME)
    assert Source(other, "").digest[:16] in refusal.value.expected
    assert Source(PERTURBATION, "").digest[:16] in refusal.value.found
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}


def test_the_file_of_another_rule_is_refused_before_it_is_executed(spec: RunSpec, tmp_path: Path):
    mark = tmp_path / "executed"
    train(replace(spec, env_steps=200), LOCAL, tmp_path / "run", saving=Saving(every=100))
    for path in [tmp_path / "run/spec.json", *(tmp_path / "run").glob("checkpoint-*.json")]:
        about = json.loads(path.read_text())
        about["spec"]["rule"]["source"] += f"\nimport pathlib\npathlib.Path({str(mark)!r}).touch()\n"
        about.pop("checksum")
        path.write_text(json.dumps(about | {"checksum": checksum(about)}))
    with pytest.raises(CheckpointError):
        train(spec, LOCAL, tmp_path / "run", if_present=IfPresent.RESUME)
    with pytest.raises(CheckpointError):
        TeamAgent.load_or_new(tmp_path / "run", "cartpole", rule=spec.rule, backend="local", hidden=(9, 6))
    assert not mark.exists()


def test_a_setting_cannot_have_a_name_that_options_have_or_had(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("seed", "send_threshold", "tolerance", "rule"):
        (tmp_path / f"{name}.py").write_text(PERTURBATION.replace("scale", name))
        _, err = run_command(capsys, "train", "cartpole", "--rule", tmp_path / f"{name}.py", code=2)
        assert f"'{name}'" in err


def test_a_trained_policy_does_not_execute_the_file(tmp_path: Path):
    mark = tmp_path / "executed"
    text = PERTURBATION + f"\nimport pathlib\npathlib.Path({str(mark)!r}).touch()\n"
    train(_spec(tmp_path, text), LOCAL, tmp_path / "run")
    mark.unlink()
    code = (
        "from teamnet import TrainedPolicy; from teamnet.cli.main import main\n"
        f"print(TrainedPolicy.load({str(tmp_path / 'run')!r}).predict([0.0] * 4)[0])\n"
        f"main(['eval', {str(tmp_path / 'run')!r}, '--episodes', '2'])"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert not mark.exists()
    assert TrainedPolicy.load(tmp_path / "run").predict(np.zeros(4))[0] in (0, 1)


def test_a_checkpoint_has_the_policy_type_of_its_rule(tmp_path: Path):
    """So that a policy has its reference category although no file is executed; earlier checkpoints lack it."""
    text = PERTURBATION.replace("    scale: float", '    policy_type = "reference"\n    scale: float')
    spec = replace(_spec(tmp_path, text), env_steps=100)
    train(spec, LOCAL, tmp_path / "run", saving=Saving(every=100))
    (path,) = (tmp_path / "run").glob("checkpoint-*.json")
    about = json.loads(path.read_text())
    assert from_plain(RunSpec, about["spec"], execute=False).rule.policy_type == "reference"
    for name in (path, tmp_path / "run/spec.json"):
        content = json.loads(name.read_text())
        del content["spec"]["rule"]["policy_type"]
        content.pop("checksum", None)
        name.write_text(json.dumps(content | {"checksum": checksum(content)}))
    assert TrainedPolicy.load(tmp_path / "run").predict(np.zeros(4))[0] in (0, 1)
    whole = train(replace(spec, env_steps=150), LOCAL, None)[0]
    assert resume(tmp_path / "run", env_steps=150)[0]["digest"] == whole["digest"]


def test_interpreted_a_run_is_the_same_run(spec: RunSpec):
    short = replace(spec, env_steps=60)
    compiled, plain = (train(short, replace(LOCAL, interpret=on), None)[0] for on in (False, True))
    assert compiled["mean_return"] == plain["mean_return"]
    with pytest.raises(SpecError) as refusal:
        train(short, LaunchSpec(interpret=True), None)
    assert refusal.value.where == "interpret"


@pytest.mark.usefixtures("shared_ray")
def test_ray_actors_get_the_file_with_the_rule(spec: RunSpec, tmp_path: Path):
    expected = train(replace(spec, env_steps=100), LOCAL, None)[0]["digest"]
    for grain, transport in (("layer", "board"), ("block:4", "board"), ("layer", "ray")):
        launch = LaunchSpec(grain=grain, transport=transport)
        assert train(replace(spec, env_steps=100), launch, None)[0]["digest"] == expected


def test_a_mistake_is_refused_before_anything_is_made(tmp_path: Path):
    spec = _spec(tmp_path, PERTURBATION.replace("unit.scale", "unit.skale"))
    with pytest.raises(SpecError) as refusal:
        train(spec, LaunchSpec(), tmp_path / "run")
    assert refusal.value.where.startswith(f"{tmp_path / 'own.py'}:")
    assert not (tmp_path / "run").exists()


def test_check_says_what_passed_and_what_did_not(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    (tmp_path / "own.py").write_text(EXPLORER)
    out, _ = run_command(capsys, "check", tmp_path / "own.py", "--no-ray")
    assert [line.split()[0] for line in out.splitlines()] == ["ok"] * 13
    whole = EXPLORER.replace("better = signal[row, 0]", "better = unit.size + signal[row, 0]")  # who is how large?
    (tmp_path / "own.py").write_text(whole)
    out, _ = run_command(capsys, "check", tmp_path / "own.py", "--no-ray", code=1)
    found = {line[8:50].strip(): line.split()[0] for line in out.splitlines()}
    assert found["same bits at every granularity"] == "FAILED"
    assert found["locality"] == "ok"
    wrong = EXPLORER.replace('"learn", [inputs', '"lern", [inputs')
    (tmp_path / "own.py").write_text(wrong)
    out, _ = run_command(capsys, "check", tmp_path / "own.py", "--no-ray", code=1)
    assert out.startswith("FAILED")
    assert f"own.py:{next(n for n, line in enumerate(wrong.splitlines(), 1) if 'lern' in line)}:" in out


STATED = EXPLORER.replace("unit.credit[row, j] = better", "unit.error[row, j] = (unit.activation[row, j] "
                          "- unit.mean[row, j]) * unit.derivative[row, j] / unit.variance\n"
                          "                unit.credit[row, j] = better").replace(
    '"credit": PER_NEURON', '"credit": PER_NEURON, "error": PER_NEURON'
).replace("    @operation", '''    def log_probability(self, layer, preactivation, activation):
        import numpy as np

        if layer.family == "categorical":
            return 0.0
        mean = preactivation if layer.is_last else np.logaddexp(0.0, preactivation)
        return (-0.5 * (activation - mean) ** 2 / layer.variance).sum()

    @operation''', 1)


def test_a_stated_log_probability_is_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for text, code in ((STATED, 0), (STATED.replace("-0.5 *", "-0.6 *"), 1)):
        (tmp_path / "own.py").write_text(text)
        out, _ = run_command(capsys, "check", tmp_path / "own.py", "--no-ray", code=code)
        line = next(line for line in out.splitlines() if "finite differences" in line)
        assert line.startswith(("ok", "FAILED")[code])


IN_NUMPY = PERTURBATION.replace("    @operation", "    @operation(numpy=remember_in_numpy)")
IN_NUMPY = IN_NUMPY.replace("class NodePert", """\
def remember_in_numpy(unit, below, mask):
    unit.decay[:] = unit.trace_decay * mask[:, 0]
    unit.credit[:] = unit.scale * (unit.activation - unit.mean) / unit.variance
    for synapses, inputs in ((unit.incoming, below), (unit.biases, unit.ones)):
        synapses.trace[:] = unit.decay[:, None, None] * synapses.trace + inputs[:, :, None] * unit.credit[:, None]


class NodePert""")


def test_a_form_in_numpy_is_compared(tmp_path: Path):
    wrong = IN_NUMPY.replace("unit.scale * (unit.activation -", "(unit.mean -")
    for text, right in ((IN_NUMPY, True), (wrong, False)):
        (tmp_path / "own.py").write_text(text)
        rule = find_rule(str(tmp_path / "own.py"))()
        if right:
            assert interpreted(rule)
        else:
            with pytest.raises(CheckFailed):
                interpreted(rule)


def test_what_remembers_before_it_learns_is_remarked_upon(tmp_path: Path):
    order = """        yield step("learn", [td_error])
        yield step("remember", [inputs(layer), trace_mask])
"""
    assert order in PERTURBATION
    wrong = PERTURBATION.replace(order, "".join(order.splitlines(True)[::-1]))
    for text, remark in ((PERTURBATION, False), (wrong, True)):
        (tmp_path / "own.py").write_text(text)
        assert ("REMARK" in learns_from_the_step_before(find_rule(str(tmp_path / "own.py"))())) == remark


def test_every_choice_of_a_setting_is_tried(tmp_path: Path):
    text = PERTURBATION.replace("scale: float = 1.0", "scale: float = 1.0\n    whole: bool = False").replace(
        "unit.scale * (", "(unit.size if unit.whole else unit.scale) * ("
    )
    (tmp_path / "own.py").write_text(text)
    with pytest.raises(CheckFailed):
        every_choice(find_rule(str(tmp_path / "own.py"))())
    (tmp_path / "own.py").write_text(text.replace("unit.size if", "2.0 if"))
    assert every_choice(find_rule(str(tmp_path / "own.py"))()) == "whole=True"
