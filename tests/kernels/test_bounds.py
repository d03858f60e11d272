"""No kernel reads or writes beyond what it is given: all of it lies between pages that nobody may touch."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from teamnet.kernels.native import native
from teamnet.team.prepare import ENTRIES


@pytest.mark.parametrize("side", ["after", "before"])
def test_no_kernel_goes_out_of_bounds(side: str):
    for entry in ENTRIES:
        native(*entry)
    command = [sys.executable, "-m", "tests.kernels.bounds", side]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    cases = [json.loads(line) for line in done.stdout.splitlines()]
    wrong = {case["case"]: case["ended"] for case in cases if case["ended"] != case["expected"]}
    assert not wrong, done.stderr
    assert sum(case["expected"] == 0 for case in cases) > 150
    assert sum(case["expected"] != 0 for case in cases) > 20, "what must crash does"
    assert {name for case in cases for name in case["called"]} == {".".join(entry) for entry in ENTRIES}
