"""Golden files: the official code's values in each step, replayed by teamnet's units in any executor.

``meta_json`` holds the configuration; arrays are named ``t{step}_{quantity}{layer}`` with the batch first, float64. In
each step the observation and the sampled values are given (they determine the noise), then the TD error, then the
trace mask of the rows; the learned parameters, the settled values and the traces are compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from teamnet.dataflow.layers import LayerSpec, Rate, UnitSpec, linked
from teamnet.errors import CheckpointError, shown
from teamnet.kernels.hidden import ALIASES, FUNCTIONS
from teamnet.rules.map_propagation import MapPropagation
from teamnet.spec.check_launch import check_launch
from teamnet.spec.run import LaunchSpec
from teamnet.team.partition import divide_all
from teamnet.team.state import State, merge, split
from teamnet.training.launch import start_exchange
from teamnet.training.task import finite_number

Golden = Mapping[str, np.ndarray]
_MOST = 100_000
_SHOWN = 300
_LEAST = 1e-300
TOLERANCE = 1e-9
"""The largest absolute error that :func:`replay` may find."""


def read_golden(path: Path) -> tuple[Golden, dict[str, Any]]:
    """The arrays and the configuration of a golden file.

    Raises:
        CheckpointError: it is not such a file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return arrays, json.loads(bytes(arrays["meta_json"]).decode())
    except Exception as error:  # what a damaged archive raises depends on where it is damaged
        raise _not_golden(path, error) from None


def _not_golden(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        str(path), expected="a golden file (.npz with meta_json)",
        found=f"{type(error).__name__}: {str(error)[:_SHOWN]}", remedy="Write it as tests/golden/README.md describes.",
    )


def golden_layers(meta: Mapping[str, Any]) -> list[LayerSpec]:
    """The team that a golden file's configuration describes.

    Raises:
        ValueError: it describes none. Values of other types raise other exceptions.
    """
    _check_meta(meta)
    sizes, last = meta["sizes"], len(meta["sizes"]) - 1
    rates = [Rate(rate, rate) for rate in meta["learning_rate"]]
    shares = [step / variance for step, variance in zip(meta["step_size"], meta["variance"], strict=True)]
    return linked(sizes[0], [
        LayerSpec(
            team="critic" if meta["critic_gate"] else "actor", team_number=0, number=number, depth=last,
            size=sizes[number],
            family="categorical" if number == last and meta["output"] == "softmax" else "gaussian",
            function="linear" if number == last else meta["hidden_activation"],
            variance=meta["variance"][number - 1], temperature=meta["temperature"] or 1.0,
            rule=MapPropagation(settle_steps=meta["settle_steps"], step_size=shares[number - 1]),
            trace_decay=meta["trace_decay"], rate=rates[number - 1], gated=meta["critic_gate"], single_step=False,
            rows=meta["batch"],
        )
        for number in range(1, last + 1)
    ])


def _check_meta(meta: Mapping[str, Any]) -> None:
    layers = len(meta["sizes"]) - 1
    for name, least in (("sizes", 1), ("settle_steps", 0), ("batch", 1), ("env_steps", 1)):
        counts = meta[name] if name == "sizes" else [meta[name]]
        if not all(type(count) is int and least <= count <= _MOST for count in counts):
            raise ValueError(f"{name} = {shown(meta[name])}")
    for name, least in (("variance", _LEAST), ("step_size", 0.0), ("learning_rate", 0.0)):
        if len(meta[name]) != layers or not all(finite_number(value) >= least for value in meta[name]):
            raise ValueError(f"{name} = {shown(meta[name])}")
    decay, temperature = finite_number(meta["trace_decay"]), finite_number(meta["temperature"] or 1.0)
    known = meta["hidden_activation"] in (*FUNCTIONS, *ALIASES) and type(meta["critic_gate"]) is bool
    if layers < 1 or not known or not 0.0 <= decay <= 1.0 or temperature < _LEAST:
        raise ValueError("not a valid team")


def _check_arrays(arrays: Golden, meta: Mapping[str, Any]) -> None:
    """Refuse arrays whose shapes differ from the configuration's, which NumPy would broadcast where it can."""
    sizes, batch = meta["sizes"], meta["batch"]
    for number, (below, size) in enumerate(pairwise(sizes), 1):
        _check_array(arrays, f"init_w{number}", (below, size))
        _check_array(arrays, f"init_b{number}", (size,))
        for step in range(meta["env_steps"]):
            for name in ("sampled_h", "forward_mean", "settled_h", "settled_mean", "trace_b"):
                _check_array(arrays, f"t{step}_{name}{number}", (batch, size))
            _check_array(arrays, f"t{step}_learned_w{number}", (below, size))
            _check_array(arrays, f"t{step}_learned_b{number}", (size,))
            _check_array(arrays, f"t{step}_trace_w{number}", (batch, below, size))
    for step in range(meta["env_steps"]):
        _check_array(arrays, f"t{step}_obs", (batch, sizes[0]))
        _check_array(arrays, f"t{step}_delta", (batch,))
        _check_array(arrays, f"t{step}_keep_trace", (batch,), np.bool_)


def _check_array(arrays: Golden, name: str, shape: tuple[int, ...], kind: type[np.generic] = np.float64) -> None:
    array = arrays[name]
    if array.shape != shape or array.dtype != kind:
        raise ValueError(f"{name} is {array.dtype} {array.shape}, not {kind.__name__} {shape}")


def golden_noise(arrays: Golden, meta: Mapping[str, Any], unit: UnitSpec) -> np.ndarray:
    """The noise ``(steps, rows, width)`` with which a unit samples what the official code sampled."""
    layer, number = unit.layer, unit.layer.number
    noise = []
    for step in range(meta["env_steps"]):
        sampled, mean = arrays[f"t{step}_sampled_h{number}"], arrays[f"t{step}_forward_mean{number}"]
        if layer.family == "categorical":  # the middle of the interval in which a uniform chooses this action
            noise.append(((mean.cumsum(1) - mean / 2) * sampled).sum(1, keepdims=True))
        else:
            noise.append((sampled - mean)[:, unit.start : unit.stop] / np.sqrt(layer.variance))
    return np.array(noise)


def replay(path: Path, launch: LaunchSpec) -> dict[str, float]:
    """Replay a golden file; returns the largest absolute error of each quantity.

    Raises:
        CheckpointError: the file cannot be read.
        NumericalError: the replay computes a NaN or an infinity.
    """
    check_launch(launch)
    arrays, meta = read_golden(path)
    try:
        layers = golden_layers(meta)
        _check_arrays(arrays, meta)
        units = divide_all([layers], launch.grain, seed=0)
        with np.errstate(all="ignore"):  # units detect values that are not finite
            noise = [golden_noise(arrays, meta, unit) for unit in units]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise _not_golden(path, error) from None
    executor = start_exchange(launch, [layers], units, noise)
    errors: dict[str, float] = {}
    try:
        state = merge(units, executor.snapshot())
        for layer in layers:
            prefix = f"{layer.team}.{layer.number}"
            state[f"{prefix}.incoming.value"] = arrays[f"init_w{layer.number}"]
            state[f"{prefix}.biases.value"] = arrays[f"init_b{layer.number}"][None]
        executor.restore(split(units, state), 0)
        for step in range(meta["env_steps"]):
            executor.act(arrays[f"t{step}_obs"], arrays[f"t{step}_keep_trace"].astype(float))
            executor.learn(arrays[f"t{step}_delta"])
            executor.pause()
            _compare(errors, arrays, layers, merge(units, executor.snapshot()), step)
    except (KeyError, ValueError) as error:
        raise _not_golden(path, error) from None
    finally:
        executor.close()
    return errors


def _compare(
    errors: dict[str, float], arrays: Golden, layers: list[LayerSpec], state: State, step: int
) -> None:
    for layer in layers:
        prefix = f"{layer.team}.{layer.number}"
        found = {
            "learned_w": state[f"{prefix}.incoming.value"], "learned_b": state[f"{prefix}.biases.value"][0],
            "trace_w": state[f"{prefix}.incoming.trace"], "trace_b": state[f"{prefix}.biases.trace"][:, 0],
            "forward_mean": state[f"{prefix}.acting_mean"], "settled_h": state[f"{prefix}.activation"],
            "settled_mean": state[f"{prefix}.mean"],
        }
        for name, values in found.items():
            with np.errstate(all="ignore"):
                difference = float(np.abs(values - arrays[f"t{step}_{name}{layer.number}"]).max())
            errors[name] = max(errors.get(name, 0.0), difference if np.isfinite(difference) else np.inf)
