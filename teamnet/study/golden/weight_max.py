"""Golden files of weight maximisation (`stephen-chung-mh/weight_max`).

In each step the observation and the sampled values are given, then the TD error, then the trace mask of the rows; the
means, the reward of each neuron, the learned parameters and the traces are compared. The softmax output of the
official code has no weights for its last action; a reference output has, but they are never used.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from teamnet.dataflow.layers import LayerSpec, Rate, UnitSpec, linked
from teamnet.rules.weight_max import WeightMaximisation
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
    check_counts(meta, {"sizes": 1, "batch": 1, "env_steps": 1})
    check_per_layer(meta, {"temperature": LEAST, "learning_rate": 0.0})
    if len(meta["sizes"]) < 2 or not 0.0 <= finite_number(meta["trace_decay"]) <= 1.0:
        raise ValueError("not a valid team")
    sizes, last = meta["sizes"], len(meta["sizes"]) - 1
    return linked(sizes[0], [
        LayerSpec(
            team="actor", team_number=0, number=number, depth=last, size=sizes[number],
            family="reference" if number == last and _ends_in_softmax(meta) else "bernoulli", function="linear",
            variance=1.0, temperature=meta["temperature"][number - 1], rule=WeightMaximisation(),
            trace_decay=meta["trace_decay"], rate=Rate(rate, rate), gated=False,
            single_step=bool(meta["single_step"]), rows=meta["batch"],
        )
        for number, rate in enumerate(meta["learning_rate"], 1)
    ])


def _ends_in_softmax(meta: Meta) -> bool:
    return str(meta["output"]).startswith("softmax")


def check_arrays(arrays: Golden, meta: Meta) -> None:
    """Refuse arrays whose shapes differ from the configuration's.

    Raises:
        ValueError: naming the array.
    """
    batch, last = meta["batch"], len(meta["sizes"]) - 1
    for number, (below, size) in enumerate(pairwise(meta["sizes"]), 1):
        columns = size - 1 if number == last and _ends_in_softmax(meta) else size
        check_array(arrays, f"init_w{number}", (below, columns))
        check_array(arrays, f"init_b{number}", (columns,))
        for step in range(meta["env_steps"]):
            for name in ("sampled_h", "mean"):
                check_array(arrays, f"t{step}_{name}{number}", (batch, size))
            if _has_learned(meta, step):
                check_array(arrays, f"t{step}_reward{number}", (batch, 1 if number == last else size))
            check_array(arrays, f"t{step}_learned_w{number}", (below, columns))
            check_array(arrays, f"t{step}_learned_b{number}", (columns,))
            check_array(arrays, f"t{step}_trace_w{number}", (batch, below, columns))
            check_array(arrays, f"t{step}_trace_b{number}", (batch, columns))
    check_signals(arrays, meta)


def _has_learned(meta: Meta, step: int) -> bool:
    return step > 0 or bool(meta["single_step"])


def initial(arrays: Golden, layer: LayerSpec) -> tuple[np.ndarray, np.ndarray]:
    """Weights ``(fan_in, size)`` and biases ``(size,)`` of a layer at the start."""
    weights, biases = arrays[f"init_w{layer.number}"], arrays[f"init_b{layer.number}"]
    unused = layer.size - len(biases)
    return np.pad(weights, ((0, 0), (0, unused))), np.pad(biases, (0, unused))


def noise_of(arrays: Golden, meta: Meta, unit: UnitSpec) -> np.ndarray:
    """The noise ``(steps, rows, width)`` with which a unit samples what the official code sampled."""
    noise = []
    for step in range(meta["env_steps"]):
        sampled, mean = (arrays[f"t{step}_{name}{unit.layer.number}"] for name in ("sampled_h", "mean"))
        if unit.layer.family == "reference":
            noise.append(chosen(mean, sampled))
        else:  # the middle of the interval in which this value is sampled
            noise.append(np.where(sampled > 0.5, mean / 2, (1 + mean) / 2)[:, unit.start : unit.stop])
    return np.array(noise)


def found_in(state: State, layer: LayerSpec) -> dict[str, np.ndarray]:
    """What is compared, by the quantity's name in the file."""
    prefix, columns = f"{layer.team}.{layer.number}", slice(layer.size - (layer.family == "reference"))
    return {
        "mean": state[f"{prefix}.acting_mean"],
        "reward": state[f"{prefix}.reward"][:, : 1 if layer.is_last else layer.size],
        "learned_w": state[f"{prefix}.incoming.value"][:, columns],
        "learned_b": state[f"{prefix}.biases.value"][0, columns],
        "trace_w": state[f"{prefix}.incoming.trace"][:, :, columns],
        "trace_b": state[f"{prefix}.biases.trace"][:, 0, columns],
    }
