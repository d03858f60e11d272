"""The files of a probe in a folder."""

from __future__ import annotations

import json

from teamnet.study.probe.figures import Probe, to_json
from teamnet.study.probe.table import draw_probe, probe_table
from teamnet.training.owned_files import OwnedFiles

FILES = JSON, TABLE, PICTURE = "probe.json", "probe.md", "probe.png"


def write_probe(files: OwnedFiles, probe: Probe) -> None:
    """Write a probe, its tables and, if there are links, their heat map.

    Raises:
        ResourceError: a file cannot be written.
        SpecError: one of them exists and is not teamnet's own.
    """
    files.write(JSON, (json.dumps(to_json(probe)) + "\n").encode())
    files.write(TABLE, f"# Probe\n\n{probe_table(probe)}\n".encode())
    if probe.links:
        files.write(PICTURE, draw_probe(probe))
