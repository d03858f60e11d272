"""``python -m teamnet.team.prepare``: compile all code now, so that the first run and its many processes need not."""

from __future__ import annotations

import compileall
from pathlib import Path

from teamnet.kernels.cache import cache_folder
from teamnet.kernels.native import native

ENTRIES = (
    ("teamnet.board.relay", "receive_rounds", "i"),
    ("teamnet.board.relay", "send_rounds", "i"),
    ("teamnet.kernels.signal", "find_td_error", "iiiiiiidd"),
    ("teamnet.team.free_run", "run_free", "ii"),
    ("teamnet.team.in_turn", "perform_in_turn", "iiii"),
    ("teamnet.team.meet", "publish_alone", "ii"),
    ("teamnet.team.meet", "set_control", "ii"),
    ("teamnet.team.meet", "wait_for_all", "iiiii"),
    ("teamnet.team.meet", "wake_all", "ii"),
    ("teamnet.team.phase", "do_phase", "ii"),
    ("teamnet.team.run", "run", "ii"),
)


def main() -> None:
    """Fill the cache of kernels, and write the bytecode that every actor's process would compile otherwise."""
    compileall.compile_dir(Path(__file__).parent.parent, quiet=1)
    for entry in ENTRIES:
        native(*entry)
    print(f"kernels are in {cache_folder()}")


if __name__ == "__main__":
    main()
