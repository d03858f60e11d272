"""What a process may use: trees of files as kernels and containers show them, and a real control group."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamnet.team.limits import available_memory, processors

GIB = 1 << 30
MEMINFO = f"MemTotal: {64 * GIB // 1024} kB\nMemFree: 1 kB\nMemAvailable: {32 * GIB // 1024} kB\n"
VERSION_2 = "35 24 0:30 {mounted} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
VERSION_1 = (
    "36 25 0:31 {mounted} /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory\n"
    "37 25 0:32 {mounted} /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n"
)


def _tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in {"proc/meminfo": MEMINFO, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def _version_2(path: str = "/job", mounted: str = "/") -> dict[str, str]:
    return {"proc/self/cgroup": f"0::{path}\n", "proc/self/mountinfo": VERSION_2.format(mounted=mounted)}


def _version_1(path: str = "/docker/a1", mounted: str = "/") -> dict[str, str]:
    return {
        "proc/self/cgroup": f"9:memory:{path}\n4:cpu,cpuacct:{path}\n1:name=systemd:/x\n",
        "proc/self/mountinfo": VERSION_1.format(mounted=mounted),
    }


def _memory(root: Path, **slurm: str) -> int:
    return available_memory(root, slurm)


def _processors(root: Path, allowed: int = 16, **slurm: str) -> int:
    return processors(root, slurm, allowed)


def test_without_groups_it_is_what_the_machine_has(tmp_path: Path):
    root = _tree(tmp_path, {})
    assert _memory(root) == 32 * GIB
    assert _processors(root) == 16


def test_a_group_of_version_2_limits_both(tmp_path: Path):
    folder = "sys/fs/cgroup/job"
    root = _tree(tmp_path, _version_2() | {
        f"{folder}/memory.max": f"{4 * GIB}\n", f"{folder}/memory.current": f"{3 * GIB}\n",
        f"{folder}/memory.stat": f"anon 7\ninactive_file {GIB}\n", f"{folder}/cpu.max": "250000 100000\n",
    })
    assert _memory(root) == 2 * GIB  # the cache that nobody uses is free
    assert _processors(root) == 2
    (root / folder / "memory.high").write_text(f"{3 * GIB}\n")
    assert _memory(root) == GIB


def test_a_group_of_version_1_limits_both(tmp_path: Path):
    memory, cpu = "sys/fs/cgroup/memory/docker/a1", "sys/fs/cgroup/cpu,cpuacct/docker/a1"
    root = _tree(tmp_path, _version_1() | {
        f"{memory}/memory.limit_in_bytes": f"{4 * GIB}\n", f"{memory}/memory.usage_in_bytes": f"{3 * GIB}\n",
        f"{memory}/memory.stat": f"inactive_file 5\ntotal_inactive_file {GIB}\n",
        f"{cpu}/cpu.cfs_quota_us": "300000\n", f"{cpu}/cpu.cfs_period_us": "100000\n",
    })
    assert _memory(root) == 2 * GIB
    assert _processors(root) == 3


@pytest.mark.parametrize("path", ["/kubepods/burstable/pod1/c1", "/"])
def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path, path: str):
    """Without a namespace the path names a group of the host; with one it is the root."""
    root = _tree(tmp_path, _version_2(path, mounted=path) | {
        "sys/fs/cgroup/memory.max": f"{GIB}\n", "sys/fs/cgroup/memory.current": "0\n",
        "sys/fs/cgroup/cpu.max": "50000 100000\n",
    })
    assert _memory(root) == GIB
    assert _processors(root) == 1


def test_a_group_outside_of_the_namespace_is_limited_by_what_is_mounted(tmp_path: Path):
    root = _tree(tmp_path, _version_2("/../other") | {"sys/fs/cgroup/memory.max": f"{GIB}\n"})
    assert _memory(root) == GIB


def test_every_ancestor_limits(tmp_path: Path):
    base = "sys/fs/cgroup"
    root = _tree(tmp_path, _version_2("/user/job/step") | {
        f"{base}/user/job/step/memory.max": "max\n", f"{base}/user/job/step/cpu.max": "max 100000\n",
        f"{base}/user/job/memory.max": f"{8 * GIB}\n", f"{base}/user/job/memory.current": f"{GIB}\n",
        f"{base}/user/memory.max": f"{6 * GIB}\n", f"{base}/user/memory.current": f"{4 * GIB}\n",
        f"{base}/user/cpu.max": "400000 100000\n",
    })
    assert _memory(root) == 2 * GIB
    assert _processors(root) == 4


def test_no_limit_is_none(tmp_path: Path):
    two = _tree(tmp_path / "2", _version_2() | {
        "sys/fs/cgroup/job/memory.max": "max\n", "sys/fs/cgroup/job/memory.high": "max\n",
        "sys/fs/cgroup/job/memory.current": f"{GIB}\n", "sys/fs/cgroup/job/cpu.max": "max 100000\n",
    })
    memory, cpu = "sys/fs/cgroup/memory/docker/a1", "sys/fs/cgroup/cpu,cpuacct/docker/a1"
    one = _tree(tmp_path / "1", _version_1() | {
        f"{memory}/memory.limit_in_bytes": f"{2**63 - 4096}\n", f"{memory}/memory.usage_in_bytes": f"{GIB}\n",
        f"{cpu}/cpu.cfs_quota_us": "-1\n", f"{cpu}/cpu.cfs_period_us": "100000\n",
    })
    for root in (one, two):
        assert _memory(root) == 32 * GIB
        assert _processors(root) == 16


def test_a_group_that_is_full_leaves_nothing(tmp_path: Path):
    folder = "sys/fs/cgroup/job"
    root = _tree(tmp_path, _version_2() | {f"{folder}/memory.max": "100\n", f"{folder}/memory.current": "300\n"})
    assert _memory(root) == 0


def test_slurm_counts_megabytes_of_a_node_or_of_each_cpu(tmp_path: Path):
    root = _tree(tmp_path, {})
    assert _memory(root, SLURM_MEM_PER_NODE="2048") == 2 * GIB
    assert _memory(root, SLURM_MEM_PER_CPU="512", SLURM_CPUS_ON_NODE="4") == 2 * GIB
    assert _memory(root, SLURM_MEM_PER_NODE="0") == 32 * GIB
    assert _processors(root, SLURM_CPUS_ON_NODE="8") == 8
    assert _processors(root, SLURM_CPUS_ON_NODE="8", SLURM_CPUS_PER_TASK="2") == 2
    assert _processors(root, allowed=1, SLURM_CPUS_ON_NODE="8") == 1


@given(st.text(max_size=40), st.sampled_from([
    "proc/self/cgroup", "proc/self/mountinfo", "sys/fs/cgroup/job/memory.max", "sys/fs/cgroup/job/memory.high",
    "sys/fs/cgroup/job/memory.current", "sys/fs/cgroup/job/memory.stat", "sys/fs/cgroup/job/cpu.max",
]))
def test_a_damaged_file_ends_in_no_error(tmp_path_factory: pytest.TempPathFactory, text: str, name: str):
    root = _tree(tmp_path_factory.mktemp("tree"), _version_2() | {"sys/fs/cgroup/job/memory.max": f"{GIB}\n"})
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-16"))
    assert 0 <= _memory(root, SLURM_MEM_PER_NODE=text, SLURM_MEM_PER_CPU=text) <= 32 * GIB
    assert 1 <= _processors(root, SLURM_CPUS_ON_NODE=text) <= 16


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group for memory, below this process's own one."""
    line = next((line for line in Path("/proc/self/cgroup").read_text().splitlines() if ":memory:" in line), "")
    base = Path("/sys/fs/cgroup/memory") / line.rpartition(":")[2].lstrip("/") if line else Path("/sys/fs/cgroup")
    folder = base / f"teamnet-test-{os.getpid()}"
    try:
        folder.mkdir()
        limit = folder / ("memory.limit_in_bytes" if line else "memory.max")
        limit.write_text(str(400 << 20))
    except OSError as error:
        if folder.exists():
            folder.rmdir()
        pytest.skip(f"this machine lets nobody make a control group: {error}")
    yield folder
    folder.rmdir()


def test_a_run_that_a_real_group_cannot_hold_is_refused_and_not_killed(group: Path):
    code = (
        "import os, sys; open(sys.argv[1], 'w').write(str(os.getpid()))\n"
        "from teamnet.cli.main import main; main(sys.argv[2:])"
    )
    command = [sys.executable, "-c", code, str(group / "cgroup.procs"), "train", "cartpole", "--env-steps", "20"]
    refused = subprocess.run([*command, "--backend", "ray"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2, refused.stderr
    assert len([line for line in refused.stderr.splitlines() if line.startswith("teamnet: ")]) == 1
    assert "GiB of free memory" in refused.stderr
    assert subprocess.run([*command, "--backend", "local"], capture_output=True, check=False).returncode == 0
