from __future__ import annotations

import ast
import errno
import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from teamnet.errors import ResourceError
from teamnet.kernels import cache, sources
from teamnet.kernels.compile import Kernel, kernel
from teamnet.kernels.hidden import FUNCTIONS, applied
from teamnet.kernels.native import native, native_of
from teamnet.kernels.view import View
from teamnet.rules.registry import built_in_rules
from teamnet.team.prepare import ENTRIES
from teamnet.units.dispatch import dispatcher_of

_USE = """
import sys
import numpy as np
from teamnet.kernels.native import native
numbers = np.zeros(32, np.uint32)
native("teamnet.team.coordinator_kernels", "publish_alone")(numbers.ctypes.data, 7)
print(int(numbers[0]), int(numbers[4]), "numba" in sys.modules)
"""


_USE_RULE = """
import sys
from teamnet.rules.reinforce import Reinforce
from teamnet.units.code import compile_function, compile_rule
print(compile_rule(Reinforce).address > 0, compile_function("leaky-relu").address > 0, "numba" in sys.modules)
"""

_CODE = cache.Code("symbol", "id", b"object")


def _run_in_new_process(cache: Path, use: str = _USE) -> str:
    environment = {"TEAMNET_CACHE": str(cache), "PATH": ""}
    command = [sys.executable, "-c", use]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_the_cache_spares_the_second_process_numba(tmp_path: Path):
    assert _run_in_new_process(tmp_path) == "7 1 True\n"
    assert _run_in_new_process(tmp_path) == "7 1 False\n"


def test_the_cache_spares_the_second_process_numba_for_rules_and_functions_too(tmp_path: Path):
    assert _run_in_new_process(tmp_path, _USE_RULE) == "True True True\n"
    assert _run_in_new_process(tmp_path, _USE_RULE) == "True True False\n"


def test_what_is_compiled_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("TEAMNET_CACHE", str(tmp_path))
    caplog.set_level("INFO", "teamnet")
    for _ in range(2):
        assert cache.object_code(f"rule.Mine.{0:016}", lambda: _CODE) == _CODE
    assert [record.getMessage().split(",")[0] for record in caplog.records] == ["compiling rule.Mine"]


def test_all_modules_that_entries_are_made_of_are_in_the_key():
    """Those of all functions that a kernel calls, and those from which they import anything."""
    keyed, needed = set(cache.compiled_modules()), set[Path]()
    for module, name in ENTRIES:
        for function in sources._functions(getattr(importlib.import_module(module), name).function, set()):
            path = Path(inspect.getfile(function))
            needed.add(path)
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("teamnet."):
                    needed.add(Path(inspect.getfile(importlib.import_module(str(node.module)))))
    names = {path.relative_to(cache._PACKAGE).as_posix() for path in needed}
    types_alone = {"dataflow/layers.py"}
    assert {"units/layout.py", "board/link.py", "dataflow/free.py", "kernels/view.py"} < names
    assert names - {path.relative_to(cache._PACKAGE).as_posix() for path in keyed} <= types_alone


def _sources(declared: Kernel) -> str:
    return "\n".join(sources.sources_of(declared))


def test_what_compiled_rules_and_functions_depend_on_differs_for_each_and_stays():
    found = [_sources(dispatcher_of(rule())) for rule in built_in_rules().values()]
    found += [_sources(applied(function)) for function in FUNCTIONS.values()]
    assert len(set(found)) == len(found)
    assert found == [
        *(_sources(dispatcher_of(rule())) for rule in built_in_rules().values()),
        *(_sources(applied(function)) for function in FUNCTIONS.values()),
    ]


def test_code_made_at_run_time_is_compiled_anew_when_anything_that_it_calls_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TEAMNET_CACHE", str(tmp_path))

    def made(amount: int, view: View) -> Kernel:
        @kernel
        def moved(number):
            return number + amount

        @kernel
        def entry(address: int) -> int:
            return moved(view(address).two)

        return entry

    one, other = (View("pair", dict.fromkeys(names, "i")) for names in (("one", "two"), ("two", "one")))
    record = np.array([10, 20])
    for _ in range(2):
        assert native_of("code", made(1, one))(record.ctypes.data) == 21
        assert native_of("code", made(2, one))(record.ctypes.data) == 22
        assert native_of("code", made(1, other))(record.ctypes.data) == 11
    assert len(list(cache.cache_folder().iterdir())) == 3


def test_code_is_compiled_anew_when_a_constant_that_it_uses_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Numba compiles tuples, arrays and attributes of modules in as constants, and functions that it has compiled."""
    import numba

    monkeypatch.setenv("TEAMNET_CACHE", str(tmp_path))

    def made(share: float) -> Kernel:
        parts, array, settings = (share, 0.5), np.array([share, 0.5]), ModuleType("settings")
        settings.__dict__["SHARE"] = share

        @numba.njit
        def helper(number):
            return number * share

        @kernel
        def entry(address: int) -> int:
            return int(1000 * parts[0] + 100 * array[0] + 10 * settings.SHARE + helper(1.0) + 0.5)

        return entry

    record = np.zeros(1)
    assert [native_of("code", made(share))(record.ctypes.data) for share in (1.0, 3.0)] == [1111, 3333]


def test_code_is_compiled_anew_when_what_it_reaches_through_a_default_an_inner_function_or_a_module_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TEAMNET_CACHE", str(tmp_path))

    def made(default: int, inner: int, attribute: int) -> Kernel:
        package, library = ModuleType("package"), ModuleType("library")

        @kernel
        def added(number):
            return number + attribute

        package.__dict__["library"], library.__dict__["added"] = library, added

        @kernel
        def helper(number, more=default):
            return number + more

        @kernel
        def entry(address: int) -> int:
            return package.library.added(helper((lambda number: number + inner)(0)))

        return entry

    values = [(1, 0, 0), (2, 0, 0), (0, 30, 0), (0, 40, 0), (0, 0, 500), (0, 0, 600)]
    assert [native_of("code", made(*each))(0) for each in values] == [sum(each) for each in values]


def test_a_damaged_cache_is_compiled_anew(tmp_path: Path):
    _run_in_new_process(tmp_path)
    (code,) = tmp_path.glob("teamnet/*/teamnet.team.coordinator_kernels.publish_alone")
    code.write_bytes(code.read_bytes()[:-9])
    assert _run_in_new_process(tmp_path) == "7 1 True\n"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with one file in it; the temporary folder is ``tmp_path``, too."""
    monkeypatch.setenv("TEAMNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    assert cache.object_code("code", lambda: _CODE) == _CODE
    return cache.cache_folder() / "code"


def _no_compiler() -> cache.Code:
    raise AssertionError("it is in the cache")


def test_an_unwritable_cache_falls_back_to_the_temporary_folder(kept: Path, monkeypatch: pytest.MonkeyPatch):
    (kept.parent / "file").touch()
    monkeypatch.setenv("TEAMNET_CACHE", str(kept.parent / "file"))
    folder = cache.cache_folder()
    assert "temporary" in folder.parts
    assert not folder.parent.parent.stat().st_mode & 0o077, "others could put code there"
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(kept.parent / "file"))
    with pytest.raises(ResourceError) as caught:
        cache.cache_folder()
    assert "TEAMNET_CACHE" in caught.value.remedy


def test_every_damage_is_found_and_mended(kept: Path):
    whole = kept.read_bytes()
    assert cache.object_code("code", _no_compiler) == _CODE
    damages = [whole[:length] for length in range(len(whole))]
    damages += [whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :] for place in range(len(whole))]
    for damage in damages:
        kept.write_bytes(damage)
        assert cache.object_code("code", lambda: _CODE) == _CODE
        assert kept.read_bytes() == whole


def test_a_folder_in_the_place_of_a_file_is_passed_over(kept: Path):
    kept.unlink()
    (kept / "in it").mkdir(parents=True)
    assert cache.object_code("code", lambda: _CODE) == _CODE
    assert cache.object_code("code", _no_compiler) == _CODE


def test_a_temporary_folder_of_somebody_else_is_not_used(kept: Path, monkeypatch: pytest.MonkeyPatch):
    (kept.parent / "file").touch()
    monkeypatch.setenv("TEAMNET_CACHE", str(kept.parent / "file"))
    folder = cache.cache_folder()
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    folder.parent.parent.rename(folder.parent.parent.with_name(f"teamnet-{owner + 1}"))
    with pytest.raises(ResourceError):
        cache.object_code("code", lambda: _CODE)


def test_a_full_disk_is_passed_over_and_two_are_refused(kept: Path, monkeypatch: pytest.MonkeyPatch):
    """Each file system is full for what is written there, as a tmpfs of one page would be."""
    kept.unlink()
    full = {"cache"}
    write = Path.write_bytes

    def write_or_fail(path: Path, content: bytes) -> int:
        if full & set(path.parts):
            write(path, content[:5])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", write_or_fail)
    assert cache.object_code("code", lambda: _CODE) == _CODE
    assert cache.object_code("code", _no_compiler) == _CODE
    full.add("temporary")
    with pytest.raises(ResourceError) as caught:
        cache.object_code("other", lambda: _CODE)
    assert os.strerror(errno.ENOSPC) in caught.value.found
    assert list(kept.parent.iterdir()) == [], "the drafts are removed"


def test_the_compiler_works_whatever_numba_is_told(tmp_path: Path):
    environment = {"TEAMNET_CACHE": str(tmp_path), "PATH": "", "NUMBA_DISABLE_JIT": "1", "PYTHONOPTIMIZE": "2"}
    done = subprocess.run([sys.executable, "-c", _USE], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "7 1 True\n"


def test_td_error_by_hand():
    reward, value = np.array([1.0, 1.0, 1.0, 50.0]), np.array([2.0, 2.0, 2.0, 2.0])
    previous, delta = np.array([3.0, 3.0, 3.0, 3.0]), np.empty(4)
    terminated, masked = np.array([0.0, 1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0, 0.0])
    arrays = (reward, value, previous, terminated, masked, delta)
    native("teamnet.kernels.signal", "find_td_error")(4, *(a.ctypes.data for a in arrays), 0.5, 5.0)
    assert delta.tolist() == [1 + 0.5 * 2 - 3, 1 - 3, 0.0, 5 + 0.5 * 2 - 3]
    assert previous.tolist() == value.tolist()
