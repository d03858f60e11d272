"""Checkpoints: one safetensors file of arrays and one JSON file that describes it, both written atomically.

The JSON file is renamed into place last. It names the format, the run, the spec, all counters, and the digests of the
arrays' file and of its own content, so that a pair is either whole or absent. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from teamnet.errors import CheckpointError, shown
from teamnet.kernels.user_file import Source
from teamnet.spec.files import comparable, from_plain, to_plain
from teamnet.spec.former import renewed
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.team.state import State
from teamnet.training.atomic import write_atomically
from teamnet.training.checkpoint_content import check_arrays, check_numbers
from teamnet.training.task import MOST

FORMAT = 3
KEPT = 2
"""Checkpoints that a run keeps by default."""
_BEGUN = "-begun"
PLACE = rf"\d{{12,}}(?:{_BEGUN})?"
"""The pattern of the place of a checkpoint in its run, as its name tells it; see :func:`checkpoint_path`."""
_NAME = re.compile(rf"checkpoint-{PLACE}(?:-([0-9a-f]{{12}}))?\.json")
_CHECKSUM = "checksum"
_NEEDED = (
    "run", "number", "step", "sha256", "spec", "launch", "task", "interface", "actions", "statistics", "seconds",
)

@dataclass(frozen=True)
class Saved:
    """A checkpoint in a folder, as its name and its JSON file describe it; the content is not verified.

    Args:
        path: of the JSON file.
        run: the run that wrote it; empty for one of an older format.
        number: counts the checkpoints of a folder in the order in which they were written, whichever run wrote them;
            0 where the file cannot be read.
    """

    path: Path
    run: str
    number: int

    @property
    def arrays(self) -> Path:
        """The file of its arrays."""
        return self.path.with_suffix(".safetensors")

    def is_after(self, other: Saved) -> bool:
        """Whether it was written to the same folder, and not before the other one."""
        return other.number <= self.number and other.path.parent.resolve() == self.path.parent.resolve()


def checkpoints_in(folder: Path) -> list[Saved]:
    """The checkpoints in a folder, in the order in which they were written; other files are left out."""
    found = [
        Saved(path, match[1] or "", _number(path))
        for path in folder.glob("checkpoint-*.json") if (match := _NAME.fullmatch(path.name))
    ]
    return sorted(found, key=lambda saved: (saved.number, saved.path.name))


def _number(path: Path) -> int:
    try:
        number = json.loads(path.read_bytes()).get("number")
    except (OSError, ValueError, AttributeError, RecursionError):
        return 0
    return number if type(number) is int and 0 < number <= MOST else 0


def save_checkpoint(
    path: Path, run: str, step: int, state: State, about: dict[str, Any], keep: int = KEPT,
    may_remove: Callable[[Saved], bool] = lambda saved: True,
) -> Path:
    """Write the two files of a checkpoint and remove old checkpoints of the same run.

    Args:
        path: of the JSON file; checkpoints of other runs in its folder are not changed.
        run: the identity of the run.
        step: of the run.
        state: the arrays.
        about: goes into the JSON file.
        keep: number of the run's checkpoints that are kept, this one included.
        may_remove: which of the run's checkpoints may be removed: two agents can have been loaded from the same one.

    Returns:
        The path of the JSON file.

    Raises:
        ResourceError: it cannot be written; earlier checkpoints are unchanged.
    """
    arrays, others = save(state), checkpoints_in(path.parent)
    number = 1 + max((saved.number for saved in others), default=0)
    about = {
        "format": FORMAT, "run": run, "number": number, "step": step, "sha256": hashlib.sha256(arrays).hexdigest(),
        **about,
    }
    write_atomically(path.with_suffix(".safetensors"), arrays, run)
    write_atomically(path, json.dumps(about | {_CHECKSUM: checksum(about)}).encode(), run)
    own = [saved for saved in others if saved.run == run and saved.path != path and may_remove(saved)]
    for old in own[: max(0, len(own) - keep + 1)]:
        old.path.unlink(missing_ok=True)
        old.arrays.unlink(missing_ok=True)
    return path


def checkpoint_path(folder: Path, run: str, env_steps: int, *, begun: bool = False) -> Path:
    """The JSON file of a run's checkpoint.

    Args:
        folder: in which it is.
        run: the identity of the run.
        env_steps: that the run has done.
        begun: whether all episodes have begun in a step since then, which is no environment step.
    """
    return folder / f"checkpoint-{env_steps:012d}{_BEGUN if begun else ''}-{run}.json"


def checksum(about: dict[str, Any]) -> str:
    """The digest of a checkpoint's JSON, independent of its formatting."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def checkpoint_at(path: Path, say: Callable[[str], None] = lambda message: None) -> Path:
    """The JSON file of a checkpoint.

    Args:
        path: either file of a checkpoint, or the folder of a run, for its newest whole checkpoint.
        say: called with the reason for each damaged checkpoint that is skipped.

    Raises:
        CheckpointError: see :func:`newest_checkpoint`.
    """
    return path.with_suffix(".json") if path.is_file() else newest_checkpoint(path, say)


def newest_checkpoint(
    folder: Path, say: Callable[[str], None] = lambda message: None, run: str | None = None
) -> Path:
    """The JSON file of the checkpoint in a folder that was written last and is whole.

    Args:
        folder: that ``train`` or ``TeamAgent.save`` wrote to.
        say: called with the reason for each damaged checkpoint that is skipped.
        run: the run that it must belong to; any run if left out.

    Raises:
        CheckpointError: there is none, or all are damaged.
    """
    try:
        found, reason = checkpoints_in(folder), "none"
    except (OSError, ValueError) as error:  # a name that no folder can have
        found, reason = [], str(error)
    candidates = [saved for saved in found if run in (None, saved.run)]
    if not candidates:
        owner = f" of run {run}" if run else ""
        raise CheckpointError(
            str(folder), expected=f"a folder with a checkpoint{owner}",
            found="checkpoints of other runs" if found else reason,
            remedy="Give the folder that train wrote to with --out; a run that ended before its first checkpoint "
            "(--save-every) is started again with --resume-if-present.",
        )
    damaged = [saved for saved in candidates if not saved.number]  # whose order of writing is unknown
    whole = [saved for saved in candidates if saved.number]
    for saved in [*reversed(damaged), *reversed(whole)]:
        try:
            load_checkpoint(saved.path)
        except CheckpointError as error:
            if saved is (whole or damaged)[0]:
                raise
            say(f"{error} The checkpoint is skipped.")
        else:
            return saved.path
    raise AssertionError("a list of checkpoints has a first one")


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
        missing = set(_NEEDED) - set(about)
        if found == FORMAT and missing:
            raise ValueError(f"no {', '.join(sorted(missing))}")
        if found == FORMAT:
            check_numbers(about)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            str(path), expected="a whole checkpoint", found=str(error), remedy="Use the checkpoint before it."
        ) from None
    if found != FORMAT:
        raise CheckpointError(
            str(path), expected=f"format {FORMAT}", found=f"format {shown(found)}",
            remedy="Use the teamnet that wrote it.",
        )
    arrays = path.with_suffix(".safetensors")
    try:
        content = arrays.read_bytes()
    except OSError as error:
        raise CheckpointError(
            str(arrays), expected="the checkpoint's arrays", found=str(error), remedy="Use the checkpoint before it."
        ) from None
    if hashlib.sha256(content).hexdigest() != about.get("sha256"):
        raise CheckpointError(
            str(arrays), expected="the content that was written", found=f"{len(content)} other bytes",
            remedy="The file was cut short or altered: use the checkpoint before it.",
        )
    try:
        state = load(content)
        check_arrays(state, about)
    except (SafetensorError, ValueError, LookupError, TypeError, AttributeError, ImportError) as error:
        raise CheckpointError(
            str(arrays), expected="safetensors of the spec's arrays", found=f"{type(error).__name__}: {error}",
            remedy="Use the checkpoint before it.",
        ) from None
    return state, about


def check_same_spec(path: Path, expected: dict[str, Any], found: dict[str, Any]) -> None:
    """Refuse a checkpoint of another spec; the run's end may differ.

    Raises:
        CheckpointError: naming the first field that differs.
    """
    for key, value in expected.items():
        if key not in ("env_steps", "episodes") and comparable(found.get(key)) != comparable(value):
            raise CheckpointError(
                str(path), expected=_shown(key, value, found.get(key)), found=_shown(key, found.get(key), value),
                remedy="Resume with the spec that wrote the checkpoint.",
            )


def check_same_rules(path: Path, expected: RunSpec, found: Any) -> None:
    """Refuse a spec with other rules than expected before the files of its own are executed.

    Args:
        path: of the file that has it.
        expected: the spec.
        found: the spec in the file, as JSON types.

    Raises:
        CheckpointError: naming what differs.
    """
    plain = renewed(found) if isinstance(found, Mapping) else {}
    own = to_plain(expected)
    for team in ("", "actor", "critic"):
        one, other = (spec if not team else spec.get(team) or {} for spec in (own, plain))
        rules = one.get("rule"), other.get("rule") if isinstance(other, Mapping) else None
        if rules[0] != rules[1] and isinstance(rules[1], Mapping) and "source" in rules[1]:
            check_same_spec(path, {"rule": rules[0]}, {"rule": rules[1]})


def _shown(key: str, value: Any, other: Any) -> str:
    """A field of a spec as text; of a rule what differs from the ``other``, its file by the digest."""
    if isinstance(value, dict) and isinstance(other, dict):
        differing = [name for name in {**value, **other} if value.get(name) != other.get(name)]
        return ", ".join(f"{key}: {_shown(name, value.get(name), other.get(name))}" for name in differing)
    if key == "source" and isinstance(value, str):
        return f"a rule whose file has the SHA-256 {Source(value, '').digest[:16]}"
    if key == "function_files" and isinstance(value, list) and value:
        digests = ", ".join(f"{path} ({Source(text, path).digest[:16]})" for path, text in value)
        return f"functions of files with the SHA-256 {digests}"
    return f"{key} = {value!r}"


def arrays_of(**arrays: np.ndarray) -> State:
    """Copies of the coordinator's arrays, under names that no layer has."""
    return {f"coordinator.{name}": array.copy() for name, array in arrays.items()}


def spec_of_checkpoint(path: Path) -> tuple[RunSpec, LaunchSpec]:
    """The specs that a checkpoint was written with."""
    _, about = load_checkpoint(path)
    return from_plain(RunSpec, about["spec"]), from_plain(LaunchSpec, about["launch"])
