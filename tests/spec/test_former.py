"""Specs and command lines of version 0.1, as that version wrote them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from teamnet.cli.former import with_present_names
from teamnet.cli.options import Keeping, parse_run_options
from teamnet.spec.change import changed
from teamnet.spec.files import from_plain, to_plain
from teamnet.spec.presets import preset
from teamnet.spec.run import RunSpec
from tests.commands import run_command

FORMER = json.loads((Path(__file__).parents[1] / "golden/specs_0_1.json").read_text())
"""Specs as ``to_plain`` of version 0.1 wrote them; those with two words as names are presets."""


@pytest.mark.parametrize("name", FORMER)
def test_a_former_spec_is_the_same_run(name: str):
    task, _, method = name.partition(" ")
    values: dict[str, dict[str, Any]] = {
        "values": {
            "schedule": "sweeps", "settle_steps": 3, "message_dtype": "int8", "error_feedback": True,
            "exploration": 0.5, "divergence_retries": 2, "feedback": "kolen-pollack", "weight_decay": 0.01,
        },
        "teams": {
            "feedback": "backprojected", "actor": {"rule": "backprop"},
            "critic": {"schedule": "descents", "settle_steps": 2, "exploration": 0.25},
        },
        "changed values": {"send_threshold": 0.02},
    }
    expected = changed(preset("cartpole"), **values[name]) if name in values else preset(task, method)
    if name == "mountaincar tuned":  # had longer traces
        expected = changed(expected, actor={"trace_lambda": 0.97}, critic={"trace_lambda": 0.97})
    found = from_plain(RunSpec, FORMER[name])
    assert found == expected
    assert from_plain(RunSpec, to_plain(found)) == expected


def test_former_options_are_accepted():
    former = [
        "--wire", "float32", "--error-feedback", "--forgetting=0.1", "--exploring", "0.5", "--halvings", "3",
        "--feedback", "shipped", "--critic.exploring", "0.25",
    ]
    spec, _, _ = parse_run_options("train", "", Keeping, "cartpole", former)
    assert spec == changed(
        preset("cartpole"), message_dtype="float32", error_feedback=True, weight_decay=0.1, exploration=0.5,
        divergence_retries=3, feedback="backprojected", critic={"exploration": 0.25},
    )
    spec, _, _ = parse_run_options("train", "", Keeping, "cartpole", ["--tolerance", "0.2"])
    assert spec.messages.send_threshold == 0.2
    assert with_present_names(["--out", "wire", "--json"]) == ["--out", "wire", "--json"]


def test_former_commands_are_accepted(capsys: pytest.CaptureFixture[str]):
    for former, present in (("ways", "ablation"), ("peers", "baselines")):
        out, _ = run_command(capsys, former, "--help")
        assert f"teamnet {present}" in out
        listed, _ = run_command(capsys, "--help")
        assert f"  {former} " not in listed
