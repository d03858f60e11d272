"""Command lines: flags with values that fit, with any others, or nearly right; and a shell that runs them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from teamnet.cli.main import main
from teamnet.rules.registry import built_in_rules
from teamnet.study.plan.machine import PARTS, Cost, Machine, save_machine
from teamnet.study.plan.origin import this_machine
from tests.hostile.names import near

Arguments = list[str]
TRAIN = {
    "rule": "backprop", "seed": "7", "num-envs": "2", "hidden": "3", "function": "relu", "schedule": "sweeps",
    "settle-steps": "1", "acting-steps": "1", "exploration": "0.5", "entropy": "0", "signal": "target",
    "exchange-every": "1", "feedback": "random", "weight-decay": "1e-4", "message-dtype": "int8",
    "error-feedback": None, "td-error": "passed-down",
    "no-error-feedback": None, "send-threshold": "0.1", "step-size": "0.1", "discount": "0.9", "anneal-steps": "3",
    "reward-limit": "1", "action-scale": "2", "address-bits": "2", "preset": "tuned", "transport": "ray",
    "grain": "neuron", "address": "a", "placement": "spread", "wait": "1", "link-latency": "0", "save-every": "2",
    "keep": "1", "recoveries": "0", "out": "out", "free-running": None, "actor.variances": "1", "actor.rates": "0.1",
    "critic.rates": "0.1", "critic.rule": "backprop", "actor.temperature": "1", "actor": "None", "critic": "None",
    "json": None, "critic.trace-lambda": "0.5", "divergence-retries": "1", "wire": "int8",
}
RESUME = {
    "env-steps": "22", "transport": "ray", "grain": "neuron", "placement": "spread", "wait": "1", "link-latency": "0",
    "keep": "1", "save-every": "2", "json": None, "recoveries": "1",
}
EVAL = {"seed": "3", "greedy": None, "json": None, "episodes": "1", "no-greedy": None}
PLAN = {
    "nodes": "2", "cpus": "2", "node-memory": "1000000000000", "reserved-cpus": "1", "shared-cpus": None,
    "grain": "neuron", "placement": "by-team", "transport": "ray", "json": None,
}
"""Flags and a value that fits each, or none."""

VALUES = st.sampled_from([
    "0", "1", "2", "3", "-1", "0.5", "1e400", "-1e400", "nan", "inf", "1" + "0" * 400, "1" + "0" * 5000, "", " ",
    "None", "none", "True", "[]", "{}", "map", "tuned", "backprop", "reinforce", "sweeps", "relu", "int8", "mirror",
    "random", "neuron", "block:2", "layer", "spread", "by-team", "actor=a", "actor.²=a", "é", "x" * 300, "--", "-",
    "--help", "1e308", "1_000", "0x10", "1.0", "/proc/nowhere", "/dev/null", "..", "ray://a", "\n", "kolen-pollack",
    "backprojected",
]) | st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=6)


def some_flags(known: dict[str, str | None]) -> st.SearchStrategy[Arguments]:
    """Up to three flags, most of them with a value that fits."""
    names = sorted(known)
    fitting = st.sampled_from(names).map(lambda name: _words(name, [its for its in [known[name]] if its]))
    named = st.sampled_from(names) | near(names)
    other = st.tuples(named, st.lists(VALUES, max_size=2), st.booleans()).map(lambda its: _words(*its))
    flag = st.integers(0, 2).flatmap(lambda kind: fitting if kind else other)
    return st.lists(flag, max_size=3).map(lambda flags: [word for flag in flags for word in flag])


def _words(name: str, values: list[str], joined: bool = False) -> Arguments:
    return [f"--{name}={values[0]}"] if joined and values else [f"--{name}", *values]


class Shell:
    """Runs commands, counts how they end, and holds each ending against the law."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.codes: Counter[int] = Counter()
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        out, err = self._capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        assert code in (0, 1, 2), (code, err)
        assert "Traceback" not in out + err
        assert (out + err).strip()
        assert code == 0 or err.strip(), "errors are on the standard error"
        self.codes[code] += 1
        return code, out


def save_some_machine(path: Path) -> None:
    """A calibration in which everything takes a microsecond."""
    costs: dict[str, Any] = dict.fromkeys(Machine.__dataclass_fields__, 1e-6)
    operations = {name: Cost(1e-6) for kind in built_in_rules().values() for name in kind().operations()}
    costs |= {"origin": this_machine(), "full": True, "parts": PARTS, "quick": ()}
    costs |= {"operations": operations, "far": {}, "cache": 1, "memory": 1, "memory_actor": 1}
    save_machine(Machine(**costs), path)
