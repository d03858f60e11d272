"""``teamnet trace``: what a run does in some steps, for Perfetto, and what its steps spend their time on."""

from __future__ import annotations

import json as json_format
import math
from pathlib import Path
from typing import Annotated

import tyro

from teamnet.cli.terminal import say
from teamnet.values import check_count


def trace(arguments: list[str]) -> int:
    """``teamnet trace DIR [options]``."""

    def options(
        folder: Annotated[Path, tyro.conf.Positional], steps: int = 20, backend: str | None = None,
        grain: str | None = None, address: str | None = None, out: Path | None = None, json: bool = False,
    ) -> int:
        """Trace some steps of a run that is running or finished: who did what, and what a step spent its time on.

        A running run is traced by its own process, at its next steps; of a finished one, a team continues from the
        newest checkpoint. The run's results do not change.

        Args:
            folder: what train wrote to.
            steps: of the whole batch, one after the other.
            backend: another backend, of a finished run.
            grain: another grain, of a finished run.
            address: another cluster, of a finished run.
            out: the file in Chrome's trace format, which ui.perfetto.dev shows; trace.json in the run's folder if left
                out.
            json: print the losses on the critical path as one JSON object on the last line of the standard output.
        """
        from teamnet.study.communication.run_trace import trace_folder
        from teamnet.study.communication.trace import chrome_trace
        from teamnet.study.communication.trace_table import trace_lines
        from teamnet.study.communication.waits import hidden_environment, lost_times
        from teamnet.training.owned_files import OwnedFiles

        check_count("steps", steps, 1)
        path = out or folder / "trace.json"
        files = OwnedFiles(path.parent, "trace")
        files.check([path.name])
        changes = {
            name: value for name, value in (("backend", backend), ("grain", grain), ("address", address)) if value
        }
        participants, first = trace_folder(folder, steps, changes, say)
        files.write(path.name, json_format.dumps(chrome_trace(participants)).encode())
        if json:
            environment, hidden = hidden_environment(participants)
            print(json_format.dumps({
                "first_step": first, "steps": len(participants.times[0]), "environment_seconds": environment,
                "environment_hidden": hidden,
                "clock_errors": [
                    error / 1e9 if math.isfinite(error) else None for error in participants.clocks.errors
                ],
                "losses": [loss._asdict() for loss in lost_times(participants)],
            }))
        else:
            print("\n".join([*trace_lines(participants, first), "", f"written to {path}"]))
        return 0

    return tyro.cli(options, prog="teamnet trace", args=arguments)
