"""``python -m teamnet.team.prepare``: compile all code in advance, so that no process of the first run has to."""

from __future__ import annotations

import compileall
from pathlib import Path

from teamnet.kernels.cache import cache_folder
from teamnet.kernels.hidden import FUNCTIONS
from teamnet.kernels.native import native
from teamnet.rules.registry import built_in_rules
from teamnet.units.code import compile_function, compile_rule

ENTRIES = (
    ("teamnet.board.relay", "receive_rounds"),
    ("teamnet.board.relay", "send_rounds"),
    ("teamnet.kernels.signal", "find_td_error"),
    ("teamnet.team.free_run", "run_free"),
    ("teamnet.team.in_turn", "run_in_turn"),
    ("teamnet.team.coordinator_kernels", "publish_alone"),
    ("teamnet.team.coordinator_kernels", "set_control"),
    ("teamnet.team.coordinator_kernels", "wait_for_all"),
    ("teamnet.team.coordinator_kernels", "wake_all"),
    ("teamnet.team.one_step", "run_step"),
    ("teamnet.team.run", "run"),
)


def compile_rules() -> None:
    """Compile the operations of all rules of this package, and all hidden functions."""
    for rule in built_in_rules().values():
        compile_rule(rule)
    for name in FUNCTIONS:
        compile_function(name)


def main() -> None:
    """Fill the kernel cache, and write the bytecode that every actor's process would otherwise compile."""
    compileall.compile_dir(Path(__file__).parent.parent, quiet=1)
    for entry in ENTRIES:
        native(*entry)
    compile_rules()
    print(f"kernels are in {cache_folder()}")


if __name__ == "__main__":
    main()
