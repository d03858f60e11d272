"""Spaces as JSON types: of observations and actions that are flattened, for a policy that has no environment."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces


def plain_space(space: spaces.Space[Any]) -> dict[str, Any]:
    """A space of those that :mod:`teamnet.training.spaces` accepts; of a Box, its shape and dtype alone."""
    if isinstance(space, spaces.Dict):
        return {"kind": "Dict", "parts": [[name, plain_space(part)] for name, part in space.spaces.items()]}
    if isinstance(space, spaces.Tuple):
        return {"kind": "Tuple", "parts": [plain_space(part) for part in space.spaces]}
    if isinstance(space, spaces.Discrete):
        return {"kind": "Discrete", "n": int(space.n), "start": int(space.start)}
    if isinstance(space, spaces.MultiDiscrete):
        return {"kind": "MultiDiscrete", "n": space.nvec.tolist(), "start": space.start.tolist()}
    kind = "MultiBinary" if isinstance(space, spaces.MultiBinary) else "Box"
    return {"kind": kind, "shape": list(space.shape or ()), "dtype": np.dtype(space.dtype or np.float64).str}


def space_of(plain: Any) -> spaces.Space[Any]:
    """The space that :func:`plain_space` wrote; a Box without its bounds.

    Raises:
        ValueError: it did not write this; some such values raise ``KeyError`` or ``TypeError``.
    """
    kind = plain["kind"]
    if kind == "Dict":
        return spaces.Dict([(str(name), space_of(part)) for name, part in plain["parts"]])  # a mapping would be sorted
    if kind == "Tuple":
        return spaces.Tuple([space_of(part) for part in plain["parts"]])
    if kind == "Discrete":
        return spaces.Discrete(plain["n"], start=plain["start"])
    if kind == "MultiDiscrete":
        return spaces.MultiDiscrete(plain["n"], start=plain["start"])
    if kind == "MultiBinary":
        return spaces.MultiBinary(plain["shape"])
    if kind != "Box":
        raise ValueError(f"{kind!r} as a kind of space")
    dtype = np.dtype(plain["dtype"])
    low, high = (-np.inf, np.inf) if dtype.kind == "f" else (0, 1)
    if dtype.kind in "iu":
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return spaces.Box(low, high, tuple(plain["shape"]), dtype.type)
