"""The replay of a golden file in any executor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from teamnet.dataflow.layers import LayerSpec, UnitSpec
from teamnet.rules.map_propagation import MapPropagation
from teamnet.rules.weight_max import WeightMaximisation
from teamnet.spec.check_launch import check_launch
from teamnet.spec.run import LaunchSpec
from teamnet.study.golden import map_propagation, weight_max
from teamnet.study.golden.files import Golden, Meta, not_golden, read_golden
from teamnet.team.partition import divide_all
from teamnet.team.state import State, merge, split
from teamnet.training.launch import start_exchange

TOLERANCE = 1e-9
"""The largest absolute error that :func:`replay` may find."""


@dataclass(frozen=True)
class _Format:
    """How a rule's golden files are read: see the functions of the same names in the modules of the formats."""

    layers_of: Callable[[Meta], list[LayerSpec]]
    check_arrays: Callable[[Golden, Meta], None]
    initial: Callable[[Golden, LayerSpec], tuple[np.ndarray, np.ndarray]]
    noise_of: Callable[[Golden, Meta, UnitSpec], np.ndarray]
    found_in: Callable[[State, LayerSpec], dict[str, np.ndarray]]


_FORMATS = MappingProxyType({
    name: _Format(module.layers_of, module.check_arrays, module.initial, module.noise_of, module.found_in)
    for name, module in ((MapPropagation.name, map_propagation), (WeightMaximisation.name, weight_max))
})


def replay(path: Path, launch: LaunchSpec) -> dict[str, float]:
    """Replay a golden file; returns the largest absolute error of each quantity.

    Raises:
        CheckpointError: the file cannot be read.
        NumericalError: the replay computes a NaN or an infinity.
    """
    check_launch(launch)
    arrays, meta = read_golden(path)
    try:
        its = _FORMATS[meta.get("rule", MapPropagation.name)]
        layers = its.layers_of(meta)
        its.check_arrays(arrays, meta)
        units = divide_all([layers], launch.grain, seed=0)
        with np.errstate(all="ignore"):  # units detect values that are not finite
            noise = [its.noise_of(arrays, meta, unit) for unit in units]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise not_golden(path, error) from None
    executor = start_exchange(launch, [layers], units, noise)
    errors: dict[str, float] = {}
    try:
        state = merge(units, executor.snapshot())
        for layer in layers:
            prefix = f"{layer.team}.{layer.number}"
            weights, biases = its.initial(arrays, layer)
            state[f"{prefix}.incoming.value"], state[f"{prefix}.biases.value"] = weights, biases[None]
        executor.restore(split(units, state), 0)
        for step in range(meta["env_steps"]):
            executor.act(arrays[f"t{step}_obs"], arrays[f"t{step}_keep_trace"].astype(float))
            executor.learn(arrays[f"t{step}_delta"])
            executor.pause()
            state = merge(units, executor.snapshot())
            for layer in layers:
                _compare(errors, arrays, f"t{step}_{{}}{layer.number}", its.found_in(state, layer))
    except (KeyError, ValueError) as error:
        raise not_golden(path, error) from None
    finally:
        executor.close()
    return errors


def _compare(errors: dict[str, float], arrays: Golden, named: str, found: dict[str, np.ndarray]) -> None:
    for name, values in found.items():
        expected = arrays.get(named.format(name))
        if expected is None:  # checked: a file of weight maximisation has no rewards where nothing is learned
            continue
        with np.errstate(all="ignore"):
            difference = float(np.abs(values - expected).max())
        errors[name] = max(errors.get(name, 0.0), difference if np.isfinite(difference) else np.inf)
