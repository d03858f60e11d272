"""``teamnet report``: one page of all that folders of runs hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from teamnet.cli.terminal import say


def report(arguments: list[str]) -> int:
    """``teamnet report DIR... [options]``."""

    def options(
        folders: Annotated[tuple[Path, ...], tyro.conf.Positional], out: Path = Path("runs/report.html")
    ) -> int:
        """Put learning curves, communication and tables of all runs in some folders on one page.

        The page needs no network and opens from the disk. Exits with 1 if nothing could be read.

        Args:
            folders: what train, paper and comm wrote to; subfolders are searched.
            out: the page.
        """
        from teamnet.study.report.collect import collect
        from teamnet.study.report.page import check_page, write_page

        check_page(out)
        found = collect(folders)
        write_page(found, out)
        for path, progress in found.unfinished.items():
            say(f"not finished: {path}: {progress}")
        for path, first in found.repeated.items():
            say(f"counted once: {path} is {first}")
        for path, reason in found.unreadable.items():
            say(f"could not be read: {path}: {reason}")
        print(
            f"{len(found.runs)} runs, {len(found.grids)} grids, {len(found.scalings)} scalings, "
            f"{len(found.unfinished)} not finished, {len(found.unreadable)} unreadable; page: {out}"
        )
        return int(found.empty)

    return tyro.cli(options, prog="teamnet report", args=arguments)
