"""Checks of a checkpoint's content, beyond its checksums."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from teamnet.errors import shown
from teamnet.spec.former import renewed
from teamnet.spec.layer_options import options_of_layer
from teamnet.spec.resolve import Interface
from teamnet.team.state import State
from teamnet.training.action_map import ActionMap
from teamnet.training.metrics import extent_of
from teamnet.training.task import MOST, OF_ROWS, finite_number, read_counters
from teamnet.units.streams import STATE_WORDS

RUN = re.compile("[0-9a-f]{12}")
"""The pattern of a run's identity."""


def check_numbers(about: dict[str, Any]) -> None:
    """Refuse invalid values, which no checksum detects; raises ``ValueError`` or the error of a failed lookup."""
    for name, count in (("step", about["step"]), ("number", about["number"])):
        if type(count) is not int or not 0 <= count <= MOST:
            raise ValueError(f"{shown(count)} as {name}")
    if not (isinstance(about["run"], str) and RUN.fullmatch(about["run"])):
        raise ValueError(f"{shown(about['run'])} as run")
    if not isinstance(about["spec"], dict):
        raise ValueError(f"{shown(about['spec'])} as spec")
    if finite_number(about["seconds"]) < 0.0:
        raise ValueError(f"{shown(about['seconds'])} seconds")
    extent_of(about)
    read_counters(about["task"])
    _check_interface(about["interface"])
    if about["actions"] is not None:
        ActionMap.from_plain(about["actions"])
    if not isinstance(about["statistics"], dict):
        raise ValueError(f"{shown(about['statistics'])} as statistics")
    recoveries = about.get("recoveries", [])
    if not isinstance(recoveries, list):
        raise ValueError(f"{shown(recoveries)} as recoveries")
    for recovery in recoveries:
        for name in ("seconds", "env_steps", "replayed_env_steps"):
            finite_number(recovery[name])
        if not all(isinstance(recovery[name], str) for name in ("found", "how")):
            raise ValueError("a recovery without a description")


def _check_interface(plain: Any) -> None:
    interface = Interface(**plain)
    for size in (interface.observation_size, interface.action_size):
        if type(size) is not int or not 1 <= size <= MOST:
            raise ValueError(f"{shown(size)} as a size of the task's interface")
    families, choices = ("categorical", "gaussian", "bernoulli"), interface.choices
    if interface.action_family not in families or type(interface.single_step) is not bool or (
        choices and (not all(type(size) is int and size > 0 for size in choices)
                     or sum(choices) != interface.action_size or interface.action_family != "categorical")
    ):
        raise ValueError(f"{shown(plain)} as the task's interface")


def check_arrays(state: State, about: dict[str, Any]) -> None:
    """Refuse arrays that do not fit the spec; raises ``ValueError`` or the error of a failed lookup.

    The rest is compared with the units by :func:`teamnet.team.state.split`.
    """
    spec = about["spec"]
    if "num_envs" not in spec or not isinstance(spec["hidden"], list):
        return
    observation = 0
    for team in ("critic", "actor"):
        if spec[team]:
            observation = state[f"{team}.1.incoming.value"].shape[0]
            last = f"{team}.{len(spec['hidden']) + 1}"
            sizes = [observation, *spec["hidden"], state[f"{last}.biases.value"].shape[-1]]
            for number in range(1, len(sizes)):
                reads = options_of_layer(spec.get("layers", ()), team, number, len(sizes) - 1).reads or [number - 1]
                _check_layer(state, f"{team}.{number}", sum(sizes[source] for source in reads), sizes[number], about)
    rows = spec["num_envs"]
    _check_array(state, "coordinator.observation", (rows, observation))
    for name in (*OF_ROWS, "previous_value"):
        _check_array(state, f"coordinator.{name}", (rows,))


def _check_layer(state: State, layer: str, inputs: int, size: int, about: dict[str, Any]) -> None:
    _check_array(state, f"{layer}.incoming.value", (inputs, size))
    _check_array(state, f"{layer}.biases.value", (1, size))
    if state[f"{layer}.noise"].shape[1] % STATE_WORDS:
        raise ValueError(f"{layer}.noise is {state[f'{layer}.noise'].shape}, not {STATE_WORDS} words per stream")
    if state[f"{layer}.counters"][0] != about["step"] and not _runs_free(about["spec"]):
        raise ValueError(f"{layer} has done {state[f'{layer}.counters'][0]} steps, not {about['step']}")


def _runs_free(spec: dict[str, Any]) -> bool:
    return bool(renewed(spec)["rule"]["settings"].get("free_running"))


def _check_array(state: State, name: str, shape: tuple[int, ...]) -> None:
    array = state[name]
    if array.shape != shape or array.dtype != np.float64 or not np.isfinite(array).all():
        raise ValueError(f"{name} is {array.dtype} {array.shape}, not finite float64 {shape}")
