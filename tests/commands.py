"""The command line as a user has it, for tests."""

from __future__ import annotations

import pytest

from teamnet.cli.main import main


def run_command(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> tuple[str, str]:
    """Run ``teamnet`` with these arguments and return what it printed: standard output, standard error."""
    with pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert exit_.value.code == code, captured.err
    return captured.out, captured.err
