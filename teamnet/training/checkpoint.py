"""Checkpoints: one safetensors file of arrays and one JSON file that vouches for it, both written atomically.

The JSON file is renamed into place last. It names the format, the spec, all counters, and the digests of the arrays'
file and of its own content, so that a pair either is whole or is not there. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from teamnet.errors import CheckpointError, ResourceError
from teamnet.spec.files import shown
from teamnet.team.state import State
from teamnet.training.task import finite_number
from teamnet.units.streams import STATE_WORDS

FORMAT = 2
KEPT = 2
"""Checkpoints that a run keeps, if it is not told otherwise."""
_CHECKSUM = "checksum"
_MOST = 2**62


def save_checkpoint(folder: Path, step: int, state: State, about: dict[str, Any], keep: int = KEPT) -> Path:
    """Write ``checkpoint-<step>.safetensors`` and ``.json``, keep the newest, return the path of the JSON file.

    Raises:
        ResourceError: it cannot be written; what was there before is as it was.
    """
    arrays = save(state)
    about = {"format": FORMAT, "step": step, "sha256": hashlib.sha256(arrays).hexdigest(), **about}
    path = checkpoint_path(folder, step)
    write_atomically(path.with_suffix(".safetensors"), arrays)
    write_atomically(path, json.dumps(about | {_CHECKSUM: checksum(about)}).encode())
    for old in sorted(folder.glob("checkpoint-*.json"))[:-keep]:
        old.unlink()
        old.with_suffix(".safetensors").unlink(missing_ok=True)
    return path


def checkpoint_path(folder: Path, step: int) -> Path:
    """The JSON file of the checkpoint that a folder has of a step."""
    return folder / f"checkpoint-{step:012d}.json"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that its name shows either the old content or the new, whatever happens.

    Raises:
        ResourceError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with having_room(path):
        try:
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def having_room(path: Path) -> Iterator[None]:
    """Say in words of ours what a disk without room says about a file.

    Raises:
        ResourceError: naming it.
    """
    try:
        yield
    except OSError as error:
        raise ResourceError(
            str(path), expected="room for it", found=str(error),
            mend="Make room; a run goes on from its newest checkpoint with teamnet resume.",
        ) from error


def checksum(about: dict[str, Any]) -> str:
    """The digest of a checkpoint's JSON, however it is laid out."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def newest_checkpoint(folder: Path, say: Callable[[str], None] = lambda message: None) -> Path:
    """The JSON file of the newest checkpoint in a folder that is whole.

    Args:
        folder: of a run.
        say: told of newer ones that are damaged.

    Raises:
        CheckpointError: there is none, or all are damaged.
    """
    try:
        found, why = sorted(folder.glob("checkpoint-*.json")), "none"
    except (OSError, ValueError) as error:  # a name that no folder can have
        found, why = [], str(error)
    if not found:
        raise CheckpointError(
            str(folder), expected="a folder with checkpoint-*.json", found=why,
            mend="Give the folder that train wrote to with --out.",
        )
    for path in reversed(found):
        try:
            load_checkpoint(path)
        except CheckpointError as error:
            if path == found[0]:
                raise
            say(f"{error} Going on from the one before it.")
        else:
            return path
    raise AssertionError("a folder with checkpoints has a first one")


def load_checkpoint(path: Path) -> tuple[State, dict[str, Any]]:
    """The arrays and the JSON of a checkpoint.

    Raises:
        CheckpointError: it is cut short, altered, or of a newer format.
    """
    try:
        about = json.loads(path.read_bytes())
        found = about["format"]
        if found == FORMAT and about.pop(_CHECKSUM, None) != checksum(about):
            raise ValueError("other content than was written")
        missing = {"step", "sha256", "spec", "launch", "task", "seconds"} - set(about)
        if found == FORMAT and missing:
            raise ValueError(f"no {', '.join(sorted(missing))}")
        if found == FORMAT:
            _check_numbers(about)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            str(path), expected="a whole checkpoint", found=str(error), mend="Use the checkpoint before it."
        ) from None
    if found != FORMAT:
        raise CheckpointError(
            str(path), expected=f"format {FORMAT}", found=f"format {shown(found)}",
            mend="Use the teamnet that wrote it.",
        )
    arrays = path.with_suffix(".safetensors")
    try:
        content = arrays.read_bytes()
    except OSError as error:
        raise CheckpointError(
            str(arrays), expected="the checkpoint's arrays", found=str(error), mend="Use the checkpoint before it."
        ) from None
    if hashlib.sha256(content).hexdigest() != about.get("sha256"):
        raise CheckpointError(
            str(arrays), expected="the content that was written", found=f"{len(content)} other bytes",
            mend="The file was cut short or altered: use the checkpoint before it.",
        )
    try:
        state = load(content)
        _check_arrays(state, about)
    except (SafetensorError, ValueError, LookupError, TypeError, AttributeError, ImportError) as error:
        raise CheckpointError(
            str(arrays), expected="safetensors of the spec's arrays", found=f"{type(error).__name__}: {error}",
            mend="Use the checkpoint before it.",
        ) from None
    return state, about


def _check_numbers(about: dict[str, Any]) -> None:
    """Refuse counters that cannot be, which a checksum does not tell; raises ``ValueError`` or what leads to it."""
    for name, usual in (("step", 0), ("metrics_bytes", 0)):
        count = about.get(name, usual)
        if type(count) is not int or not 0 <= count <= _MOST:
            raise ValueError(f"{shown(count)} as {name}")
    if finite_number(about["seconds"]) < 0.0:
        raise ValueError(f"{shown(about['seconds'])} seconds")
    for its in about.get("recoveries", []):
        for name in ("seconds", "env_steps", "replayed_env_steps"):
            finite_number(its[name])
        if not all(isinstance(its[name], str) for name in ("found", "how")):
            raise ValueError("a recovery without words")


def _check_arrays(state: State, about: dict[str, Any]) -> None:
    """Refuse arrays that do not fit the spec, as far as it tells; raises ``ValueError`` or what leads to it.

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
                _check_layer(state, f"{team}.{number}", sizes[number - 1], sizes[number], about)
    rows = spec["num_envs"]
    _check_array(state, "coordinator.observation", (rows, observation))
    for name in ("reward", "terminated", "masked", "keep", "previous_value"):
        _check_array(state, f"coordinator.{name}", (rows,))


def _check_layer(state: State, layer: str, inputs: int, size: int, about: dict[str, Any]) -> None:
    _check_array(state, f"{layer}.incoming.value", (inputs, size))
    _check_array(state, f"{layer}.biases.value", (1, size))
    if state[f"{layer}.noise"].shape[1] % STATE_WORDS:
        raise ValueError(f"{layer}.noise is {state[f'{layer}.noise'].shape}, not {STATE_WORDS} words a stream")
    if state[f"{layer}.counters"][0] != about["step"] and not about["spec"].get("free_running"):
        raise ValueError(f"{layer} has done {state[f'{layer}.counters'][0]} steps, not {about['step']}")


def _check_array(state: State, name: str, shape: tuple[int, ...]) -> None:
    array = state[name]
    if array.shape != shape or array.dtype != np.float64 or not np.isfinite(array).all():
        raise ValueError(f"{name} is {array.dtype} {array.shape}, not finite float64 {shape}")


def check_same_spec(path: Path, expected: dict[str, Any], found: dict[str, Any]) -> None:
    """Refuse a checkpoint of another spec; where a run ends may differ.

    Raises:
        CheckpointError: naming the first field that differs.
    """
    for key, value in expected.items():
        if key not in ("env_steps", "episodes") and found.get(key) != value:
            raise CheckpointError(
                str(path), expected=f"{key} = {value!r}", found=f"{key} = {found.get(key)!r}",
                mend="Resume with the spec that wrote the checkpoint.",
            )


def arrays_of(**arrays: np.ndarray) -> State:
    """Copies of the coordinator's arrays, under names that no layer has."""
    return {f"coordinator.{name}": array.copy() for name, array in arrays.items()}
