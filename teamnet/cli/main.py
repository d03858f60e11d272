"""``teamnet COMMAND``: finds the command, and turns teamnet's errors into one message and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable

from teamnet.cli import commands, studies
from teamnet.cli.comm_command import comm
from teamnet.cli.peers_command import peers
from teamnet.cli.plan_command import plan
from teamnet.cli.report_command import report
from teamnet.cli.scale_command import scale
from teamnet.cli.sweep_command import sweep
from teamnet.cli.terminal import INTERRUPTED, REFUSED, say
from teamnet.errors import TeamnetError, nearest

COMMANDS: dict[str, tuple[Callable[[list[str]], int], str]] = {
    "train": (commands.train, "train a team on a task"),
    "eval": (commands.evaluate, "let a trained team act"),
    "resume": (commands.resume, "go on with a run from its newest checkpoint"),
    "verify": (commands.verify, "replay a golden file of the official code"),
    "bench": (commands.bench, "measure speed and memory beside plain NumPy"),
    "comm": (comm, "measure what units say to each other, and how long they wait"),
    "paper": (studies.paper, "all tasks, methods and seeds beside the published numbers"),
    "ways": (studies.ways, "ways to talk less: what each learns beside what it says"),
    "sweep": (sweep, "try values of a task's spec and see what matters"),
    "plan": (plan, "predict a run on a described cluster before anything is started"),
    "scale": (scale, "strong and weak scaling, measured and predicted"),
    "report": (report, "one page of all that folders of runs hold"),
    "peers": (peers, "compare with Stable-Baselines3"),
}


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit: 0 if well, 1 if a check failed, 2 if refused, 130 if interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: teamnet COMMAND ...\n")
        for name, (_, purpose) in COMMANDS.items():
            print(f"  {name:8} {purpose}")
        print("\nteamnet COMMAND --help lists a command's options.")
        sys.exit(0)
    if arguments[0] not in COMMANDS:
        say(f"teamnet: no command {arguments[0]!r}. {nearest(arguments[0], COMMANDS)}")
        sys.exit(REFUSED)
    try:
        code = COMMANDS[arguments[0]][0](arguments[1:])
    except TeamnetError as error:
        say(f"teamnet: {error}")
        code = REFUSED
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)
