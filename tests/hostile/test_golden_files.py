"""Damaged golden files: refused, found to differ, or replayed right."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from teamnet.errors import CheckpointError, NumericalError, ResourceError
from teamnet.study.golden.files import read_golden
from teamnet.study.golden.replay import TOLERANCE, replay
from tests.hostile.golden_files import STEPS, Arrays, damaged_golden, small_golden
from tests.hostile.law import LOCAL, cases, obey


def _write(path: Path, arrays: Arrays, meta: Any) -> None:
    np.savez(path, meta_json=np.frombuffer(json.dumps(meta).encode(), np.uint8), **arrays)


def test_a_golden_file_with_damaged_contents_is_refused_or_compared(tmp_path: Path):
    arrays, meta = small_golden()
    path = tmp_path / "damaged.npz"
    outcomes: Counter[str] = Counter()
    _write(path, arrays, meta)
    assert max(replay(path, LOCAL).values()) < TOLERANCE

    @cases(250)
    @given(damaged_golden(arrays, meta))
    def check(file: tuple[Arrays, Any]):
        _write(path, *file)
        errors, error = obey(lambda: replay(path, LOCAL))
        if error:
            assert isinstance(error, CheckpointError | NumericalError | ResourceError)
            outcomes[type(error).__name__] += 1
        else:
            assert errors is not None
            assert len(errors) == 7
            assert all(value >= 0.0 for value in errors.values())
            right = max(errors.values()) < TOLERANCE
            same = all(np.array_equal(file[0][name], array) for name, array in arrays.items() if name in file[0])
            outcomes["right" if right else "differs"] += 1
            assert not right or same or file[1]["env_steps"] < STEPS or _unimportant(arrays, file[0])

    check()
    assert outcomes["CheckpointError"] > 80, outcomes
    assert min(outcomes["right"], outcomes["differs"]) > 5, outcomes


def _unimportant(arrays: Arrays, found: Arrays) -> bool:
    """Whether what differs is not compared: numbers in which a first step learns nothing, or the tiniest ones."""
    differing = [name for name in arrays if not np.array_equal(arrays[name], found[name])]
    return all(
        name.endswith(("_delta", "_keep_trace")) or np.abs(arrays[name] - found[name]).max() < TOLERANCE
        for name in differing
    )


def test_a_golden_file_of_damaged_bytes_is_refused_or_read(tmp_path: Path):
    arrays, meta = small_golden()
    path = tmp_path / "damaged.npz"
    _write(path, {name: arrays[name] for name in ("init_b1", "t0_obs", "t0_keep_trace", "init_w4")}, meta)
    content = path.read_bytes()
    whole = {name: array.tobytes() for name, array in read_golden(path)[0].items()}
    outcomes: Counter[str] = Counter()
    directory = content.rindex(b"PK\x05\x06")
    headers = [place for place in range(len(content)) if content[place : place + 2] == b"PK"]
    somewhere = st.integers(0, len(content) - 1)
    where = somewhere | st.sampled_from(headers).map(lambda place: min(place + 60, len(content) - 1))
    important = st.tuples(st.sampled_from(headers), st.integers(0, 45)).map(lambda its: min(sum(its), directory + 20))

    @cases(1200)
    @given(st.sampled_from(["byte", "cut", "random", "other"]), where | important, st.binary(min_size=1, max_size=9))
    def check(how: str, place: int, other: bytes):
        path.write_bytes({
            "byte": content[:place] + other[:1] + content[place + 1 :], "cut": content[:place], "random": other * 9,
            "other": content[:place] + other + content[place + len(other) :],
        }[how])
        read, error = obey(lambda: read_golden(path), [str(path)])
        assert error is None or isinstance(error, CheckpointError)
        if read is not None:
            assert all(array.tobytes() == whole[name] for name, array in read[0].items() if name in whole)
        outcomes["refused" if error else "right"] += 1

    check()
    assert outcomes["refused"] > 200, outcomes
    assert outcomes["right"] > 20, outcomes
