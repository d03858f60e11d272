"""Golden files for hostile tests: a small one of our own making, and ways to damage it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.conftest import GOLDEN
from tests.hostile.plain import ANYTHING, damaged

Arrays = dict[str, np.ndarray]
SOURCE = next(path for path in GOLDEN if path.stem == "actor_relu_three_hidden")
STEPS = 2


def small_golden() -> tuple[Arrays, dict[str, Any]]:
    """The first steps of a golden file, and its configuration."""
    with np.load(SOURCE, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files if name.startswith(("init", "t0_", "t1_"))}
        meta = json.loads(bytes(file["meta_json"]).decode()) | {"env_steps": STEPS}
    return arrays, meta


@st.composite
def damaged_array(draw: st.DrawFn, array: np.ndarray) -> np.ndarray:
    """The array with another shape, type or values."""
    how = draw(st.sampled_from(["type", "flat", "longer", "shorter", "empty", "number", "axis", "value", "value"]))
    if how == "type":
        kind = draw(st.sampled_from([np.float32, np.int64, np.uint64, np.bool_, np.int8, np.float16]))
        with np.errstate(all="ignore"):
            return array.astype(kind)
    if how == "value" and array.size:
        changed, place = array.copy(), draw(st.integers(0, array.size - 1))
        extreme = [np.nan, np.inf, -np.inf, 1e308, -1e308, 1e-320, 0.0, 0.5, 1e200]
        words = [0, 1, 5, 2**32, 2**62, 2**63, 2**64 - 1]
        changed.flat[place] = draw(st.sampled_from(words if array.dtype.kind == "u" else extreme))
        return changed
    return {
        "flat": array.reshape(-1), "longer": np.concatenate([array, array]), "shorter": array[:-1],
        "empty": array[:0], "number": array.sum(), "axis": array[None],
    }.get(how, array)


@st.composite
def damaged_golden(draw: st.DrawFn, arrays: Arrays, meta: dict[str, Any]) -> tuple[Arrays, Any]:
    """A golden file with a damaged configuration or with one array damaged, missing or too many."""
    how = draw(st.sampled_from(["meta", "meta", "array", "missing", "extra", "no object"]))
    arrays = dict(arrays)
    name = draw(st.sampled_from(sorted(arrays)))
    if how == "meta":
        meta = draw(damaged(meta, most=2))
    elif how == "no object":
        return arrays, draw(ANYTHING)
    elif how == "missing":
        del arrays[name]
    elif how == "array":
        arrays[name] = np.asarray(draw(damaged_array(arrays[name])))
    else:
        arrays[draw(st.text("abt0_1", min_size=1, max_size=5)) + "x"] = arrays[name]
    return arrays, meta
