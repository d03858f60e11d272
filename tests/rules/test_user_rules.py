"""A user's rule runs everywhere with the same bits, whatever slots it has, and is refused where it cannot."""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from teamnet.dataflow.check import check_flow
from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.layers import linked
from teamnet.errors import SpecError
from teamnet.kernels.user_file import source_of
from teamnet.rules.loading import find_rule, with_settings
from teamnet.rules.registry import built_in_rules
from teamnet.rules.weight_max import WeightMaximisation
from teamnet.spec.change import changed
from teamnet.spec.check import check_run
from teamnet.spec.presets import preset, preset_of_rule
from teamnet.team.call_executor import CallExecutor, CallWorker
from teamnet.team.ledger import expected_traffic
from teamnet.team.local import LocalExecutor
from teamnet.team.partition import divide_all
from teamnet.team.rule_check import check_rules
from teamnet.team.state import split
from teamnet.team.worker_pool import ThreadPool
from tests.conftest import make_layers
from tests.rules.user_rules import CREDIT, EXPLORER, PERTURBATION, TEXTS, rule_of, teams_of
from tests.team.executors import assert_same, drive, local, spread, state_of, threaded
from tests.team.test_same_bits import ALL, fed_back


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("grain", ["layer", "block:4", "neuron"])
def test_it_gives_the_same_bits_everywhere(text: str, grain: str, tmp_path: Path):
    teams = teams_of(rule_of(text, tmp_path)())
    check_rules(teams)
    units = divide_all(teams, grain, 0)
    expected = local(teams)
    drive(expected, teams, 30)
    before = state_of(local(teams), teams, "layer")
    wanted = state_of(expected, teams, "layer")
    assert np.abs(wanted["actor.1.incoming.value"] - before["actor.1.incoming.value"]).max() > 1e-3, "it learns"
    places = [number % 3 for number in range(len(units))]
    calls = CallExecutor(teams, units, ThreadPool(CallWorker, [(teams, unit) for unit in units]))
    for executor in (local(teams, grain), threaded(teams, grain), spread(teams, grain, places), calls):
        drive(executor, teams, 12)
        executor.restore(split(units, state_of(executor, teams, grain)), 12)
        drive(executor, teams, 18, first=12)
        assert_same(state_of(executor, teams, grain), wanted)
        executor.close()


def test_slots_that_nobody_foresaw_are_counted(tmp_path: Path):
    teams = teams_of(rule_of(CREDIT, tmp_path)())
    ledger = expected_traffic(Dataflow(teams), divide_all(teams, "layer", 0))
    assert ledger.edges["credit"] == (4, 8 * 2 * 2 * (6 + 2 + 4 + 1)), "two numbers for each neuron of upper layers"
    executor = local(teams)
    drive(executor, teams, 7)
    assert executor.ledger().edges["credit"] == (7 * 4, 7 * 8 * 2 * 2 * 13)


def test_mirrors_of_a_users_rule_stay_equal(tmp_path: Path):
    teams = teams_of(rule_of(CREDIT, tmp_path)())
    executor = local(teams)
    drive(executor, teams, 200)
    state = state_of(executor, teams, "layer")
    for unit, mirror in zip(executor.units, executor.mirrors(), strict=True):
        layer = unit.spec.layer
        for part, copy in mirror.items():
            np.testing.assert_array_equal(copy, state[f"{layer.team}.{layer.number + 1}.incoming.{part}"])
        assert bool(mirror) == (not layer.is_last)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_interpreted_it_computes_the_same(text: str, tmp_path: Path):
    teams = teams_of(rule_of(text, tmp_path)())
    _agree(teams, 1e-9)


@pytest.mark.parametrize("name", list(ALL))
def test_rules_of_this_package_compute_the_same_when_interpreted(name: str):
    _agree(ALL[name], 1e-9)


@pytest.mark.parametrize("name", list(fed_back("backprojected")))
def test_shipped_products_are_the_same_when_interpreted(name: str):
    _agree(fed_back("backprojected")[name], 1e-9)


def _agree(teams, tolerance: float, steps: int = 6) -> None:
    compiled, plain = local(teams), LocalExecutor(teams, divide_all(teams, "layer", 0), interpret=True)
    for executor in (compiled, plain):
        drive(executor, teams, steps)
    one, other = (state_of(executor, teams, "layer") for executor in (compiled, plain))
    for key, array in one.items():
        np.testing.assert_allclose(other[key], array, rtol=tolerance, atol=tolerance, err_msg=key)


MISTAKES = {
    "syntax": ("def steps(self, layer):", "def steps(self, layer:", "def steps"),
    "an import that fails": ("class NodePerturbation", "import nothing_such\n\nclass NodePerturbation", "nothing_such"),
    "unknown slot": ('["activation"]', '["activatoin"]', "activatoin"),
    "a read that nobody writes": ("[inputs(layer), trace_mask]", "[inputs(layer, 3), trace_mask]", "inputs(layer, 3)"),
    "a slot that nobody has": (
        "[inputs(layer), trace_mask]", "[td_error._replace(slot=('rewrd', '', 0)), trace_mask]", "rewrd"
    ),
    "a parameter too few": ("[inputs(layer), trace_mask]", "[inputs(layer)]", '"remember", [inputs(layer)]'),
    "unknown operation": ('step("learn"', 'step("lern"', "lern"),
    "unknown setting": ("unit.scale *", "unit.skale *", "skale"),
    "unknown function": ("accumulate(unit.biases", "accumulat(unit.biases", "accumulat("),
    "a shape that does not fit": ("mask[row, 0]", "mask[row, 0, 0]", "mask[row, 0, 0]"),
    "an index out of range": ("for j in range(unit.size)", "for j in range(unit.fan_in)", "unit.credit[row, j] ="),
    "an array that is made": (
        "unit.decay[row] =", "more = np.zeros(3)\n            unit.decay[row] = more[0] +", "@operation"
    ),
    "a product of arrays": (
        "unit.decay[row] =", "unit.credit[:] = below @ unit.incoming.value\n            unit.decay[row] =", "@operation"
    ),
    "a function of the C library": ("unit.decay[row] =", "unit.decay[row] = np.exp(-unit.scale) *", "@operation"),
    "an array that is replaced": (
        "unit.decay[row] =", "unit.credit = unit.activation\n            unit.decay[row] =", "unit.credit = "
    ),
    "a setting without a value": ("scale: float = 1.0", "scale: float", "class NodePerturbation"),
    "a setting without a type": ("scale: float = 1.0", "scale = 1.0", "class NodePerturbation"),
    "an extent that is none": ('PrivateArray(("rows",))', 'PrivateArray(("neurons",))', "class NodePerturbation"),
    "an extent of synapses": ('PrivateArray(("rows",))', 'PrivateArray(("rows", "inputs"))', "class NodePerturbation"),
    "an extent of units": ("TRACES}", 'TRACES, "a": PER_SYNAPSE._replace(shape=("size",))}', "class NodePerturbation"),
    "a name that a setting has": ('"credit": PER_NEURON', '"credit": PER_NEURON, "scale": PER_NEURON', "unit.scale"),
    "a read that is written": ("unit.decay[row] =", "below[row, 0] = unit.decay[row] =", "below[row, 0]"),
    "a sample too many": (
        "    act = act\n",
        "    @operation\n    def act(unit, below):\n        act(unit, below)\n        sample(unit)\n",
        "sample(unit)",
    ),
    "a global that is written": (
        "unit.decay[row] =", "global total\n            total = 1.0\n            unit.decay[row] =", "total = 1.0"
    ),
    "steps that yield nothing": ("yield step", "step", "def steps"),
    "a name that units have": ('"credit": PER_NEURON', '"credit": PER_NEURON, "mean": PER_NEURON', "unit.mean"),
    "steps that raise": ('yield step("learn"', 'yield step(nothing, [])\n        yield step("learn"', "nothing, []"),
    "a state that is not kept": (
        "unit.credit[row, j] = ", "unit.credit[row, j] = 0.5 * unit.credit[row, j] + ", "0.5 * unit.credit"
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_refused_with_its_line(mistake: tuple[str, str, str], tmp_path: Path):
    right, wrong, line = mistake
    more = "import numpy as np\nfrom teamnet.operations.acting import sample\nfrom teamnet.rules import PER_SYNAPSE\n"
    text = PERTURBATION.replace(right, wrong).replace("from teamnet.op", f"{more}from teamnet.op", 1)
    assert right in PERTURBATION
    with pytest.raises(SpecError) as refusal:
        check_rules(teams_of(rule_of(text, tmp_path)()))
    assert refusal.value.where == f"{tmp_path / 'own.py'}:{_line_with(text, line)}"
    assert "\x1b" not in str(refusal.value), "no colours"


def test_an_activation_that_no_step_publishes_is_refused(tmp_path: Path):
    with pytest.raises(SpecError) as refusal:
        check_rules(teams_of(rule_of(PERTURBATION.replace('["activation"]', "[]"), tmp_path)()))
    assert "-1" not in refusal.value.expected
    assert "'activation'" in refusal.value.remedy


def test_a_setting_of_several_numbers_is_read_from_a_text(tmp_path: Path):
    setting = "scale: float = 1.0"
    text = PERTURBATION.replace(setting, f"{setting}\n    betas: tuple[float, float] = (0.9, 0.99)")
    rule = rule_of(text, tmp_path)()
    for given in ("(0.8, 0.99)", "0.8,0.99"):
        assert with_settings(rule, [("betas", given)]).settings()["betas"] == (0.8, 0.99)
    with pytest.raises(SpecError) as refusal:
        with_settings(rule, [("betas", "(a, b)")])
    assert refusal.value.where == "betas"


def test_what_mirrors_nothing_is_refused(tmp_path: Path):
    """It trains well, and would continue with other numbers."""
    text = CREDIT.replace("accumulate(unit.outgoing.trace, unit.decay, credit, unit.activation)", "pass")
    with pytest.raises(SpecError) as refusal:
        check_rules(teams_of(rule_of(text, tmp_path)()))
    assert "outgoing." in refusal.value.expected
    assert "mirror" in refusal.value.expected


@pytest.mark.parametrize("outgoing", ["fixed", "own"])
def test_weights_above_can_be_fixed_or_the_units_own(outgoing: str, tmp_path: Path):
    """Such as those of feedback alignment: no copies, so they are part of the state."""
    text = CREDIT.replace("    act = act\n", f"    outgoing = property(lambda rule: {outgoing!r})\n    act = act\n")
    teams = teams_of(rule_of(text, tmp_path)())
    check_rules(teams)
    executor, again = local(teams), local(teams)
    drive(executor, teams, 5)
    state = state_of(executor, teams, "layer")
    fixed = np.array_equal(state["actor.1.outgoing.value"], state_of(again, teams, "layer")["actor.1.outgoing.value"])
    assert fixed == (outgoing == "fixed")
    assert not np.array_equal(state["actor.1.outgoing.value"].T, state["actor.2.incoming.value"])
    again.restore(split([unit.spec for unit in again.units], state), 5)
    for one in (executor, again):
        drive(one, teams, 5, first=5)
    assert_same(state_of(again, teams, "layer"), state_of(executor, teams, "layer"))


@pytest.mark.parametrize("feedback", ["random", "kolen-pollack"])
def test_rules_derived_from_those_of_this_package_can_have_other_feedback(feedback: str, tmp_path: Path):
    text = "from teamnet.rules.map_propagation import MapPropagation\n\n\nclass Mine(MapPropagation):\n    pass\n"
    check_rules(teams_of(rule_of(text, tmp_path)(feedback=feedback, weight_decay=1e-4)))


@pytest.mark.parametrize("array", ['"other": PER_NEURON', '"credit": PrivateArray(("rows", "fan_in"))'])
def test_a_slot_without_an_array_of_its_shape_is_refused(array: str, tmp_path: Path):
    text = CREDIT.replace('"credit": PER_NEURON', array)
    with pytest.raises(SpecError) as refusal:
        check_rules(teams_of(rule_of(text, tmp_path)()))
    assert "'credit' (2, 6)" in refusal.value.expected


@pytest.mark.parametrize("shape", ['("size", "rows")', '("size", "size")'])
def test_what_is_kept_has_its_neurons_last_alone(shape: str, tmp_path: Path):
    text = EXPLORER.replace('PrivateArray(("rows", "size"), kept=True)', f"PrivateArray({shape}, kept=True)")
    with pytest.raises(SpecError) as refusal:
        check_rules(teams_of(rule_of(text, tmp_path)()))
    assert refusal.value.where == f"{tmp_path / 'own.py'}:{_line_with(text, 'unit.baseline')}"


CARRIED = {
    "gain": ("        for row", "        unit.scale *= 0.5\n        for row"),
    "a number of the layer": ("        for row", "        unit.variance *= 0.5\n        for row"),
    "momentum": (
        "        for row", "        unit.biases.gradient[0, 0] = 0.5 * unit.biases.gradient[0, 0] + unit.mean[0, 0]\n"
        "        unit.biases.value[0, 0] += unit.biases.gradient[0, 0]\n        for row",
    ),
    "an array that begins at a value": (
        "        for row", "        unit.least[0, 0] = 0.5 * unit.least[0, 0]\n"
        "        unit.biases.value[0, 0] += unit.least[0, 0]\n        for row",
    ),
    "a preactivation of the step before": (
        "    act = act\n", "    @operation\n    def act(unit, below):\n"
        "        unit.biases.value[0, 0] += unit.preactivation[0, 0]\n        act(unit, below)\n\n",
    ),
}


@pytest.mark.parametrize("carried", CARRIED.values(), ids=CARRIED.keys())
def test_what_no_checkpoint_has_is_refused_by_name(carried: tuple[str, str], tmp_path: Path):
    """A run that is resumed would differ from one that is not interrupted."""
    text = PERTURBATION.replace(*carried, 1).replace(
        '"trace": TRACES', '"trace": TRACES, "least": PrivateArray(("rows", "size"), initial=1.0)'
    )
    name = next(name for name in ("scale", "variance", "gradient", "least", "preactivation") if name in carried[1])
    with pytest.raises(SpecError) as refusal:
        check_rules(teams_of(rule_of(text, tmp_path)()))
    assert name in refusal.value.expected
    assert refusal.value.where.startswith(f"{tmp_path / 'own.py'}:")


@pytest.mark.parametrize("name", ["first", "second"])
def test_an_array_of_the_unit_may_have_the_name_of_one_of_synapses(name: str, tmp_path: Path):
    text = PERTURBATION.replace('"credit"', f'"{name}"').replace("unit.credit", f"unit.{name}")
    check_rules(teams_of(rule_of(text, tmp_path)()))


def _line_with(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def _with_operation(text: str, name: str, parameters: str) -> str:
    """A rule with one more operation, which does nothing."""
    more = f"    @operation\n    def {name}(unit{parameters}):\n        pass\n\n"
    first = text.index("    @operation\n")
    return text[:first] + more + text[first:]


def test_steps_that_wait_for_each_other_are_refused(tmp_path: Path):
    act = 'yield step("act", [inputs(layer)], ["activation"])'
    text = CREDIT.replace(act, f'yield step("wait", [above(layer, "credit")])\n        {act}')
    with pytest.raises(SpecError) as refusal:
        check_rules(teams_of(rule_of(_with_operation(text, "wait", ", credit"), tmp_path)()))
    assert "'wait' of actor layer 1 waits for publication 0 of credit" in refusal.value.found


def test_a_publication_that_may_be_overwritten_unread_is_refused(tmp_path: Path):
    """Three in a row, for which nobody has to have answered."""
    again = 'for _ in range(3):\n            yield step("again", [], ["activation"])\n        yield step("learn"'
    text = PERTURBATION.replace('yield step("learn"', again)
    with pytest.raises(SpecError) as refusal:
        check_rules(teams_of(rule_of(_with_operation(text, "again", ""), tmp_path)()))
    assert "overwritten" in refusal.value.found


@pytest.mark.parametrize("name", list(ALL))
def test_dataflows_of_this_package_pass_the_check(name: str):
    check_flow(Dataflow(ALL[name]))


@pytest.mark.parametrize("kind", built_in_rules().values(), ids=built_in_rules())
def test_a_user_can_derive_from_every_rule_of_this_package(kind: type, tmp_path: Path):
    text = f"""from {kind.__module__} import {kind.__name__}


class Mine({kind.__name__}):
    \"\"\"A rule of this package with one more setting.\"\"\"

    weight: float = 1.0
"""
    rule = rule_of(text, tmp_path)()
    teams = teams_of(rule)
    check_rules(teams[:1] if kind is WeightMaximisation else teams)  # which trains no critic
    assert rule.settings().keys() - kind().settings().keys() == {"weight"}
    assert type(preset_of_rule(type(rule), "cartpole").rule) is type(rule), "and not the rule whose presets it has"


def test_entropy_of_a_policy_whose_entropy_is_not_known_is_refused(tmp_path: Path):
    text = """from teamnet.rules.backpropagation import Backpropagation


class Mine(Backpropagation):
    \"\"\"With another policy.\"\"\"

    policy_type = "reference"
"""
    rule = rule_of(text, tmp_path)
    check_run(changed(preset("cartpole"), rule=rule()))
    with pytest.raises(SpecError) as refusal:
        check_run(changed(preset("cartpole"), rule=rule(entropy=0.01)))
    assert refusal.value.where == "entropy"


def test_a_setting_has_its_declared_type_whatever_its_usual_value_is(tmp_path: Path):
    text = PERTURBATION.replace("scale: float = 1.0", "scale: float = 1")
    digests = []
    for changed_text, scale in ((PERTURBATION, 0.5), (text, 0.5), (text, 1)):
        teams = teams_of(rule_of(changed_text, tmp_path)(scale=scale))
        executor = local(teams)
        drive(executor, teams, 5)
        digests.append(state_of(executor, teams, "layer")["actor.1.incoming.trace"].tobytes())
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("kept", [True, False])
def test_arrays_begin_with_their_initial_value_and_only_what_is_not_kept_is_set_again(kept: bool, tmp_path: Path):
    arrays = f"""
        "share": PrivateArray(("rows", "size"), kept={kept}, initial=0.25),
        "step": PrivateArray(("inputs", "outputs"), of_synapses=True, kept={kept}, initial=0.5), "credit": PER_NEURON"""
    text = PERTURBATION.replace('"credit": PER_NEURON', arrays).replace(
        "    def remember(unit, below, mask):\n", """    def remember(unit, below, mask):
        unit.share[0, 0], unit.incoming.step[0, 0], unit.biases.step[0, 0] = 3.0, 4.0, 5.0
""")
    teams = teams_of(rule_of(text, tmp_path)())
    executor = local(teams)
    unit = executor.units[0]
    names = ("share", "incoming.step", "biases.step")
    assert [(array := unit.private(name)).min() == array.max() for name in names] == [True] * 3
    assert [unit.private(name)[0, 0] for name in names] == [0.25, 0.5, 0.5]
    drive(executor, teams, 2)
    written = [3.0, 4.0, 5.0]
    assert [unit.private(name)[0, 0] for name in names] == written
    executor.restore(split([unit.spec for unit in executor.units], state_of(executor, teams, "layer")), 2)
    assert [unit.private(name)[0, 0] for name in names] == (written if kept else [0.25, 0.5, 0.5])


@pytest.mark.parametrize("choices", [(8,), (3, 4, 2), (2, 2)])
@pytest.mark.parametrize("hidden", [(), (9, 6)])
def test_it_is_checked_whatever_the_choices_of_an_action_are(
    choices: tuple[int, ...], hidden: tuple[int, ...], tmp_path: Path
):
    rule = rule_of(PERTURBATION, tmp_path)()
    team = [replace(layer, rule=rule) for layer in make_layers((3, *hidden, sum(choices)), rows=2)]
    check_rules([linked(3, [*team[:-1], replace(team[-1], choices=choices)])])


def test_a_rule_travels_with_its_file(tmp_path: Path):
    rule = rule_of(PERTURBATION, tmp_path)(scale=2.5)
    sent = pickle.dumps(teams_of(rule))
    (tmp_path / "own.py").unlink()
    source = source_of(type(rule))
    assert source is not None
    del sys.modules[source.module]
    received = pickle.loads(sent)
    assert received[0][0].rule.scale == 2.5
    assert type(received[0][0].rule).__name__ == "NodePerturbation"
    assert source_of(type(received[0][0].rule)) == source


def test_another_text_is_another_rule(tmp_path: Path):
    one = rule_of(PERTURBATION, tmp_path)
    same = rule_of(PERTURBATION, tmp_path, "copy.py")
    other = rule_of(PERTURBATION.replace("Node perturbation.\n", "Another.\n"), tmp_path)
    assert one is same
    assert one is not other


def test_rules_are_found_by_name_file_and_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, kind in built_in_rules().items():
        assert find_rule(name) is kind
    (tmp_path / "both.py").write_text(PERTURBATION + EXPLORER.replace('"""A rule', '_ = """A rule'))
    assert find_rule(f"{tmp_path / 'both.py'}:Explorer").__name__ == "Explorer"
    with pytest.raises(SpecError) as refusal:
        find_rule(str(tmp_path / "both.py"))
    assert "NodePerturbation, Explorer" in refusal.value.found
    (tmp_path / "own_module.py").write_text(PERTURBATION)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_rule("own_module:NodePerturbation").__module__ == "own_module"


@pytest.mark.parametrize("reference", ["mapp", "nowhere.py", "no_module:Rule", "pathlib:Path", "", "a.py:B"])
def test_what_is_no_rule_is_refused(reference: str):
    with pytest.raises(SpecError) as refusal:
        find_rule(reference)
    assert refusal.value.where == "rule"
