"""``teamnet COMMAND``: finds the command; it is imported only then, so that Ctrl-C meanwhile ends in no traceback."""

from __future__ import annotations

import os
import sys
from importlib import import_module

from teamnet import __version__
from teamnet.cli.counts import in_digits
from teamnet.cli.terminal import REFUSED, exit_code_of, prepare_streams, say
from teamnet.errors import nearest

COMMANDS = {
    "train": ("commands:train", "train a team on a task"),
    "eval": ("commands:evaluate", "let a trained team act"),
    "resume": ("commands:resume", "continue a run from its newest checkpoint"),
    "check": ("check_command:check", "check a learning rule of your own"),
    "verify": ("commands:verify", "replay a golden file of the official code"),
    "bench": ("commands:bench", "measure speed and memory beside plain NumPy"),
    "comm": ("comm_command:comm", "measure what units send to each other, and how long they wait"),
    "trace": ("trace_command:trace", "what a run does in some steps, and what they spend their time on"),
    "paper": ("studies:paper", "all tasks, methods and seeds beside the published numbers"),
    "ablation": ("studies:ablation", "variants that communicate less: what each learns and sends in a step"),
    "depth": ("studies:depth", "teams of one to six hidden layers by every rule"),
    "sweep": ("sweep_command:sweep", "try values of a task's spec and see what matters"),
    "gradients": ("gradients_command:gradients", "how good each rule's update is, beside the true gradient"),
    "probe": ("probe_command:probe", "measure the nodes and links of a cluster"),
    "plan": ("plan_command:plan", "predict a run on a described cluster before anything is started"),
    "scale": ("scale_command:scale", "strong and weak scaling, measured and predicted"),
    "compare": ("compare_command:compare", "two sets of runs, grids or benchmarks side by side"),
    "report": ("report_command:report", "one page about all runs in some folders"),
    "baselines": ("baselines_command:baselines", "compare with Stable-Baselines3"),
}
"""The module below :mod:`teamnet.cli` and the function of each command, and what it does."""
_CONTINUED = ("paper", "ablation", "depth", "sweep", "gradients", "comm", "scale")
"""Commands that keep what is finished, and of which a second call does the rest."""
_FORMER = {"ways": "ablation", "peers": "baselines"}
"""Former names of commands, which are accepted until the next version."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit.

    The exit code is 0 if well, 1 if a check failed, 2 if refused, 130 if SIGINT, SIGTERM or SIGHUP ended it, and 141 if
    no process reads the output any more.
    """
    prepare_streams()
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # behind all others: no file of the folder stands in for an installed module
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(exit_code_of(lambda: _run(given)))


def _run(arguments: list[str]) -> int:
    if arguments == ["--version"]:
        print(f"teamnet {__version__}")
        return 0
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: teamnet COMMAND ...\n")
        for name, (_, purpose) in COMMANDS.items():
            print(f"  {name:9} {purpose}")
        print("\nteamnet COMMAND --help lists a command's options.")
        return 0
    name = _FORMER.get(arguments[0], arguments[0])
    if name not in COMMANDS:
        say(f"teamnet: no command {name!r}. {nearest(name, COMMANDS)}")
        return REFUSED
    module, _, function = COMMANDS[name][0].partition(":")
    try:
        return getattr(import_module(f"teamnet.cli.{module}"), function)(in_digits(arguments[1:]))
    except KeyboardInterrupt:
        if name in _CONTINUED:
            say("interrupted; what is finished is kept, and the same command continues")
        raise
