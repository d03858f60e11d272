"""What tests of command lines share."""

from __future__ import annotations

from pathlib import Path

import pytest

from teamnet.spec.change import changed
from teamnet.spec.presets import preset
from teamnet.training.session import train
from tests.hostile.law import LOCAL


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a finished run, below the one that commands write to."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    spec = changed(preset("cartpole"), hidden=(3, 2), env_steps=20, episodes=None, settle_steps=2)
    train(spec, LOCAL, tmp_path / "run")
    return tmp_path / "run"
