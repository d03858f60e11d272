"""Golden files of MAP propagation (`stephen-chung-mh/map_prop`).

In each step the observation and the sampled values are given (they determine the noise), then the TD error, then the
trace mask of the rows; the learned parameters, the settled values and the traces are compared.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from teamnet.dataflow.layers import LayerSpec, Rate, UnitSpec, linked
from teamnet.kernels.hidden import ALIASES, FUNCTIONS
from teamnet.rules.map_propagation import MapPropagation
from teamnet.study.golden.files import (
    LEAST,
    Golden,
    Meta,
    check_array,
    check_counts,
    check_per_layer,
    check_signals,
    chosen,
)
from teamnet.team.state import State
from teamnet.training.task import finite_number


def layers_of(meta: Meta) -> list[LayerSpec]:
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


def _check_meta(meta: Meta) -> None:
    check_counts(meta, {"sizes": 1, "settle_steps": 0, "batch": 1, "env_steps": 1})
    check_per_layer(meta, {"variance": LEAST, "step_size": 0.0, "learning_rate": 0.0})
    decay, temperature = finite_number(meta["trace_decay"]), finite_number(meta["temperature"] or 1.0)
    known = meta["hidden_activation"] in (*FUNCTIONS, *ALIASES) and type(meta["critic_gate"]) is bool
    if len(meta["sizes"]) < 2 or not known or not 0.0 <= decay <= 1.0 or temperature < LEAST:
        raise ValueError("not a valid team")


def check_arrays(arrays: Golden, meta: Meta) -> None:
    """Refuse arrays whose shapes differ from the configuration's.

    Raises:
        ValueError: naming the array.
    """
    batch = meta["batch"]
    for number, (below, size) in enumerate(pairwise(meta["sizes"]), 1):
        check_array(arrays, f"init_w{number}", (below, size))
        check_array(arrays, f"init_b{number}", (size,))
        for step in range(meta["env_steps"]):
            for name in ("sampled_h", "forward_mean", "settled_h", "settled_mean", "trace_b"):
                check_array(arrays, f"t{step}_{name}{number}", (batch, size))
            check_array(arrays, f"t{step}_learned_w{number}", (below, size))
            check_array(arrays, f"t{step}_learned_b{number}", (size,))
            check_array(arrays, f"t{step}_trace_w{number}", (batch, below, size))
    check_signals(arrays, meta)


def initial(arrays: Golden, layer: LayerSpec) -> tuple[np.ndarray, np.ndarray]:
    """Weights ``(fan_in, size)`` and biases ``(size,)`` of a layer at the start."""
    return arrays[f"init_w{layer.number}"], arrays[f"init_b{layer.number}"]


def noise_of(arrays: Golden, meta: Meta, unit: UnitSpec) -> np.ndarray:
    """The noise ``(steps, rows, width)`` with which a unit samples what the official code sampled."""
    layer, number = unit.layer, unit.layer.number
    noise = []
    for step in range(meta["env_steps"]):
        sampled, mean = arrays[f"t{step}_sampled_h{number}"], arrays[f"t{step}_forward_mean{number}"]
        if layer.family == "categorical":
            noise.append(chosen(mean, sampled))
        else:
            noise.append((sampled - mean)[:, unit.start : unit.stop] / np.sqrt(layer.variance))
    return np.array(noise)


def found_in(state: State, layer: LayerSpec) -> dict[str, np.ndarray]:
    """What is compared, by the quantity's name in the file."""
    prefix = f"{layer.team}.{layer.number}"
    return {
        "learned_w": state[f"{prefix}.incoming.value"], "learned_b": state[f"{prefix}.biases.value"][0],
        "trace_w": state[f"{prefix}.incoming.trace"], "trace_b": state[f"{prefix}.biases.trace"][:, 0],
        "forward_mean": state[f"{prefix}.acting_mean"], "settled_h": state[f"{prefix}.activation"],
        "settled_mean": state[f"{prefix}.mean"],
    }
