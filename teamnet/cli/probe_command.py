"""``teamnet probe``: what messages, handovers, memory and arithmetic cost on the nodes of a cluster."""

from __future__ import annotations

import json as json_format
from pathlib import Path

import tyro

from teamnet.cli.terminal import say
from teamnet.team.address import cluster_address


def probe(arguments: list[str]) -> int:
    """``teamnet probe [options]``."""

    def options(
        address: str = "", out: Path = Path("runs/probe"), overwrite: bool = False, json: bool = False
    ) -> int:
        """Measure latency and bandwidth between every pair of nodes of a cluster and within each, and their speed.

        Beside each figure stands that of a plain socket, a pipe, memmove or NumPy from the same seconds. Takes some ten
        seconds for each node and five for each ordered pair of nodes; nothing else should run there.

        Args:
            address: of a Ray cluster; $RAY_ADDRESS, or this machine alone, if left out.
            out: gets probe.json, which teamnet plan and scale take with --probe, probe.md and probe.png.
            overwrite: replace the results of an earlier call in OUT.
            json: print the content of probe.json on the last line of the standard output.
        """
        from teamnet.spec.check import check_folder
        from teamnet.study.probe.figures import to_json
        from teamnet.study.probe.files import FILES, write_probe
        from teamnet.study.probe.session import probe
        from teamnet.study.probe.table import probe_table
        from teamnet.training.owned_files import OwnedFiles

        check_folder("out", out)
        files = OwnedFiles(out, "probe")
        files.check_new(FILES, overwrite=overwrite)
        found = probe(cluster_address(address), say)
        write_probe(files, found)
        print(json_format.dumps(to_json(found)) if json else f"{probe_table(found)}\n\nwritten to {out}")
        return 0

    return tyro.cli(options, prog="teamnet probe", args=arguments)
