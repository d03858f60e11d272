"""Golden files: what the official code computed step by step, replayed by our units wherever they run.

``meta_json`` holds the configuration; arrays are named ``t{step}_{quantity}{layer}`` with the batch first, float64. In
each step the observation and the sampled values are given (they stand for the noise), then the TD error, then which
rows keep their trace; the learned parameters, the settled values and the traces are compared.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from teamnet.errors import CheckpointError
from teamnet.spec.layers import LayerSpec, Rate, UnitSpec
from teamnet.spec.run import LaunchSpec
from teamnet.team.partition import divide_all
from teamnet.team.state import State, merge, split
from teamnet.training.launch import start_exchange

Golden = Mapping[str, np.ndarray]
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
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise _not_golden(path, error) from None


def _not_golden(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        str(path), expected="a golden file (.npz with meta_json)", found=f"{type(error).__name__}: {error}",
        mend="tests/golden/README.md describes the format.",
    )


def golden_layers(meta: Mapping[str, Any]) -> list[LayerSpec]:
    """The team that a golden file's configuration describes."""
    sizes, last = meta["sizes"], len(meta["sizes"]) - 1
    rates = [Rate(rate, rate) for rate in meta["learning_rate"]]
    return [
        LayerSpec(
            team="critic" if meta["critic_gate"] else "actor", team_number=0, number=number,
            fan_in=sizes[number - 1], size=sizes[number], fan_out=0 if number == last else sizes[number + 1],
            family="categorical" if number == last and meta["output"] == "softmax" else "gaussian",
            function="linear" if number == last else meta["hidden_activation"],
            variance=meta["variance"][number - 1], temperature=meta["temperature"] or 1.0,
            step_size=meta["step_size"][number - 1] / meta["variance"][number - 1],
            settle_steps=meta["settle_steps"], trace_decay=meta["trace_decay"], rate=rates[number - 1],
            rate_above=Rate(0.0, 0.0) if number == last else rates[number], gated=meta["critic_gate"],
            single_step=False, rows=meta["batch"],
        )
        for number in range(1, last + 1)
    ]


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
    """
    arrays, meta = read_golden(path)
    try:
        layers = golden_layers(meta)
        units = divide_all([layers], launch.grain, seed=0)
        noise = [golden_noise(arrays, meta, unit) for unit in units]
    except (KeyError, IndexError, TypeError, ValueError, ZeroDivisionError) as error:
        raise _not_golden(path, error) from None
    exchange = start_exchange(launch, [layers], units, noise)
    errors: dict[str, float] = {}
    try:
        state = merge(units, exchange.snapshot())
        for layer in layers:
            prefix = f"{layer.team}.{layer.number}"
            state[f"{prefix}.incoming.value"] = arrays[f"init_w{layer.number}"]
            state[f"{prefix}.biases.value"] = arrays[f"init_b{layer.number}"][None]
        exchange.restore(split(units, state), 0)
        for step in range(meta["env_steps"]):
            exchange.act(arrays[f"t{step}_obs"], arrays[f"t{step}_keep_trace"].astype(float))
            exchange.learn(arrays[f"t{step}_delta"])
            exchange.pause()
            _compare(errors, arrays, layers, merge(units, exchange.snapshot()), step)
    except (KeyError, ValueError) as error:
        raise _not_golden(path, error) from None
    finally:
        exchange.close()
    if not errors:
        raise _not_golden(path, ValueError("no steps"))
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
            difference = float(np.abs(values - arrays[f"t{step}_{name}{layer.number}"]).max())
            errors[name] = max(errors.get(name, 0.0), difference if np.isfinite(difference) else np.inf)
