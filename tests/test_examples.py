from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_examples_run_and_print_a_summary(example: Path, tmp_path: Path):
    done = subprocess.run([sys.executable, str(example)], cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "'digest':" in done.stdout


def test_the_readme_names_only_make_targets_and_commands_that_exist():
    import re

    from teamnet.cli.main import COMMANDS

    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"(?:`|^    )make ([a-z-]+)", readme, re.MULTILINE))
    assert {"train", "test"} <= targets
    assert targets <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"^\| `teamnet ([a-z]+)", readme, re.MULTILINE)) == set(COMMANDS)
