"""What machines, shells and containers are like: each command works or ends in one line and an exit code."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from teamnet.board import segment
from teamnet.errors import ResourceError
from teamnet.kernels.cache import cache_folder

COMMAND = (sys.executable, "-c", "from teamnet.cli.main import main; main()")
TRAIN = ("train", "cartpole", "--hidden", "3", "--env-steps", "20", "--json")


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=os.environ | environment, capture_output=True, text=True, check=False, timeout=120,
        encoding="utf-8", errors="surrogateescape",
    )


def _assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """One line of ours, and nothing else but what is being started."""
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("starting Ray")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("teamnet: ")
    for word in words:
        assert word in lines[0]


def _digest(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])["digest"]


@pytest.fixture(scope="module")
def digest() -> str:
    return _digest(_run(*TRAIN, "--backend", "local"))


@pytest.mark.parametrize("level", ["1", "2"])
def test_optimised_python_does_the_same(digest: str, level: str):
    assert _digest(_run(*TRAIN, "--backend", "local", PYTHONOPTIMIZE=level)) == digest
    for command in (("train", "cartpole"), ("eval",), ("plan", "cartpole"), ("comm", "cartpole"), ("bench",)):
        assert _run(*command, "--help", PYTHONOPTIMIZE=level).returncode == 0


@pytest.mark.parametrize("locale", [
    {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
])
def test_a_terminal_without_unicode_gets_its_help_and_its_errors(locale: dict[str, str]):
    assert _run("train", "cartpole", "--help", **locale).returncode == 0
    _assert_refused(_run("train", "c\xe4rtpole", **locale), "task")


def test_an_argument_that_is_no_text_is_refused():
    _assert_refused(_run("train", os.fsdecode(b"cartpole\xff")), "task")
    _assert_refused(_run("eval", os.fsdecode(b"\xff")))


def _train_with(output: int, messages: int, *arguments: str) -> int:
    """The exit code of a training with these descriptors, of which -1 is closed."""
    closed = [number for number, given in ((1, output), (2, messages)) if given < 0]
    return subprocess.run(
        [*COMMAND, *TRAIN, "--backend", "local", "--no-replay-check", *arguments], check=False, timeout=120,
        stdout=output if output >= 0 else None, stderr=messages if messages >= 0 else None,
        preexec_fn=lambda: [os.close(number) for number in closed],
    ).returncode


def test_a_reader_that_has_gone_ends_nothing_before_the_end(tmp_path: Path):
    reading, gone = os.pipe()
    os.close(reading)
    leader, terminal = pty.openpty()
    os.close(leader)  # as when a connection breaks
    full, null = os.open("/dev/full", os.O_WRONLY), os.open(os.devnull, os.O_WRONLY)
    try:
        for number, (output, messages, code) in enumerate([
            (gone, null, 141), (gone, gone, 141), (null, gone, 0), (null, terminal, 0), (full, full, 2), (-1, -1, 0),
        ]):
            out = tmp_path / str(number)
            kept = ("--out", str(out)) if messages in (gone, terminal) else ()
            assert _train_with(output, messages, *kept) == code, number
            assert not kept or json.loads((out / "summary.json").read_text())["env_steps"] == 20
    finally:
        for descriptor in (gone, terminal, full, null):
            os.close(descriptor)


def test_help_that_nobody_reads_prints_no_traceback():
    reading, gone = os.pipe()
    os.close(reading)
    for arguments in ((), ("train", "cartpole", "--help"), ("eval", "--help")):
        done = subprocess.run([*COMMAND, *arguments], stdout=gone, stderr=subprocess.PIPE, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (141, b"")
    os.close(gone)


def test_what_a_shell_limits_is_refused():
    large = ("--hidden", "3000", "3000", "--env-steps", "2", "--backend", "local")
    command = ["bash", "-c", 'ulimit -v 1500000; exec "$@"', "bash", *COMMAND, "train", "cartpole", *large]
    _assert_refused(subprocess.run(command, capture_output=True, text=True, check=False, timeout=120), "memory")


def test_nowhere_to_keep_compiled_code_is_refused(tmp_path: Path):
    (tmp_path / "file").touch()
    nowhere = str(tmp_path / "file")
    code = f"import tempfile; tempfile.tempdir = {nowhere!r}; from teamnet.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *TRAIN, "--backend", "local"], env=os.environ | {"TEAMNET_CACHE": nowhere},
        capture_output=True, text=True, check=False, timeout=120,
    )
    _assert_refused(done, "TEAMNET_CACHE")


def test_a_user_without_a_home_trains(digest: str, tmp_path: Path):
    code = (  # as a container's random user number has none
        "import os, pwd; del os.environ['HOME']\n"
        "def unknown(number): raise KeyError(number)\n"
        "pwd.getpwuid = unknown\n"
        f"import tempfile; tempfile.tempdir = {str(tmp_path)!r}\n"
        "from teamnet.cli.main import main; main()"
    )
    kept = cache_folder()
    own = tmp_path / f"teamnet-{os.getuid()}"
    own.mkdir(mode=0o700)
    shutil.copytree(kept, own / "teamnet" / kept.name)
    environment = {name: value for name, value in os.environ.items() if name not in ("TEAMNET_CACHE", "XDG_CACHE_HOME")}
    command = [sys.executable, "-c", code, *TRAIN]
    local = subprocess.run(
        [*command, "--backend", "local"], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert _digest(local) == digest
    on_ray = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    _assert_refused(on_ray, "RAY_AUTH_TOKEN_PATH")


def test_a_temporary_folder_that_is_too_long_for_sockets(tmp_path: Path):
    long = tmp_path / ("x" * 60)
    long.mkdir()
    _assert_refused(_run(*TRAIN, RAY_TMPDIR=str(long)), "RAY_TMPDIR", str(long))
    _assert_refused(_run(*TRAIN, RAY_TMPDIR="/proc/nowhere"), "RAY_TMPDIR")
    assert not list(long.iterdir())


def test_a_long_temporary_folder_of_all_programs_is_not_used_for_sockets(digest: str, tmp_path: Path):
    long = tmp_path / ("x" * 60)
    long.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "RAY_TMPDIR"} | {"TMPDIR": str(long)}
    done = subprocess.run([*COMMAND, *TRAIN], env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert _digest(done) == digest


def test_shared_memory_that_cannot_be_used_is_refused(monkeypatch: pytest.MonkeyPatch):
    """A folder that is not there, and two in which nothing can be made, in the place of the real one."""
    for folder in (Path("/proc/nowhere"), Path("/proc"), Path("/sys")):
        monkeypatch.setattr(segment, "FOLDER", folder)
        with pytest.raises(ResourceError) as caught:
            segment.create_segment(1)
        assert caught.value.where == str(folder)
        assert "--backend local" in caught.value.remedy


def test_a_plan_is_made_where_numba_can_keep_nothing():
    code = (
        "from numba.core import caching; caching.CacheImpl._locator_classes = []\n"
        "from teamnet.study.plan import simulation; print(type(simulation._tell).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "CPUDispatcher\n"), done.stderr


def test_ctrl_c_while_it_imports_ends_in_no_traceback():
    code = (
        "import signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'teamnet.cli.commands': signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from teamnet.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code, *TRAIN], capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (130, b"")
