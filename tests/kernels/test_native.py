from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from teamnet.kernels import native as native_module
from teamnet.kernels.native import native

_USE = """
import sys
import numpy as np
from teamnet.kernels.native import native
numbers = np.zeros(32, np.uint32)
native("teamnet.team.meet", "publish_alone", "ii")(numbers.ctypes.data, 7)
print(int(numbers[0]), int(numbers[4]), "numba" in sys.modules)
"""


def _run_in_new_process(cache: Path) -> str:
    environment = {"TEAMNET_CACHE": str(cache), "PATH": ""}
    command = [sys.executable, "-c", _USE]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_the_cache_spares_the_second_process_numba(tmp_path: Path):
    assert _run_in_new_process(tmp_path) == "7 1 True\n"
    assert _run_in_new_process(tmp_path) == "7 1 False\n"


def test_a_damaged_cache_is_compiled_anew(tmp_path: Path):
    _run_in_new_process(tmp_path)
    (code,) = tmp_path.glob("teamnet/*/teamnet.team.meet.publish_alone")
    code.write_bytes(code.read_bytes()[:-9])
    assert _run_in_new_process(tmp_path) == "7 1 True\n"


def test_an_unwritable_cache_falls_back_to_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TEAMNET_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(native_module.tempfile, "gettempdir", lambda: str(tmp_path / "fallback"))
    assert native_module.cache_folder().is_relative_to(tmp_path / "fallback")


def test_td_error_by_hand():
    reward, value = np.array([1.0, 1.0, 1.0, 50.0]), np.array([2.0, 2.0, 2.0, 2.0])
    previous, delta = np.array([3.0, 3.0, 3.0, 3.0]), np.empty(4)
    terminated, masked = np.array([0.0, 1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0, 0.0])
    arrays = (reward, value, previous, terminated, masked, delta)
    native("teamnet.kernels.signal", "find_td_error", "iiiiiiidd")(4, *(a.ctypes.data for a in arrays), 0.5, 5.0)
    assert delta.tolist() == [1 + 0.5 * 2 - 3, 1 - 3, 0.0, 5 + 0.5 * 2 - 3]
    assert previous.tolist() == value.tolist()
