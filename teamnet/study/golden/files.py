"""The content of a golden file: arrays by name, and a configuration.

``meta_json`` holds the configuration; arrays are named ``t{step}_{quantity}{layer}`` with the batch first, float64.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from teamnet.errors import CheckpointError, shown
from teamnet.training.task import finite_number

Golden = Mapping[str, np.ndarray]
Meta = Mapping[str, Any]
LEAST = 1e-300
"""The smallest number that a configuration can have where it must be above 0."""
_MOST = 100_000
_SHOWN = 300


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
        raise not_golden(path, error) from None


def not_golden(path: Path, error: Exception) -> CheckpointError:
    """The error for a file that is damaged or something else."""
    return CheckpointError(
        str(path), expected="a golden file (.npz with meta_json)",
        found=f"{type(error).__name__}: {str(error)[:_SHOWN]}", remedy="Write it as tests/golden/README.md describes.",
    )


def check_counts(meta: Meta, counts: Mapping[str, int]) -> None:
    """Refuse what is no whole number from a smallest one on, or a list with one that is not.

    Raises:
        ValueError: naming it.
    """
    for name, least in counts.items():
        values = meta[name] if isinstance(meta[name], list) else [meta[name]]
        if not values or not all(type(value) is int and least <= value <= _MOST for value in values):
            raise ValueError(f"{name} = {shown(meta[name])}")


def check_per_layer(meta: Meta, numbers: Mapping[str, float]) -> None:
    """Refuse a list that has not one finite number for each layer, from a smallest one on.

    Raises:
        ValueError: naming it.
    """
    for name, least in numbers.items():
        if len(meta[name]) != len(meta["sizes"]) - 1 or not all(finite_number(value) >= least for value in meta[name]):
            raise ValueError(f"{name} = {shown(meta[name])}")


def check_array(arrays: Golden, name: str, shape: Sequence[int], kind: type[np.generic] = np.float64) -> None:
    """Refuse an array of another shape than the configuration's, which NumPy would broadcast where it can.

    Raises:
        ValueError: naming it.
    """
    array = arrays[name]
    if array.shape != tuple(shape) or array.dtype != kind:
        raise ValueError(f"{name} is {array.dtype} {array.shape}, not {kind.__name__} {shape}")


def check_signals(arrays: Golden, meta: Meta) -> None:
    """Refuse what is given in each step: observations, TD errors, and which rows keep their traces.

    Raises:
        ValueError: naming the array.
    """
    for step in range(meta["env_steps"]):
        check_array(arrays, f"t{step}_obs", (meta["batch"], meta["sizes"][0]))
        check_array(arrays, f"t{step}_delta", (meta["batch"],))
        check_array(arrays, f"t{step}_keep_trace", (meta["batch"],), np.bool_)


def chosen(mean: np.ndarray, sampled: np.ndarray) -> np.ndarray:
    """The uniform number ``(rows, 1)`` in the middle of the interval in which the sampled category is chosen."""
    return ((mean.cumsum(1) - mean / 2) * sampled).sum(1, keepdims=True)
