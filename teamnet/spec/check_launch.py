"""Refusals: where a run cannot run."""

from __future__ import annotations

from teamnet.errors import SpecError, shown
from teamnet.spec.files import check_types
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.values import check_choice, check_count, check_number

_LONGEST_GRAIN = 30


def check_launch(launch: LaunchSpec) -> None:
    """Refuse an unknown backend or transport; the granularity is checked where it is parsed, but for its length.

    Raises:
        SpecError: naming the field.
    """
    check_types(launch)
    check_choice("backend", launch.backend, ("ray", "local"))
    check_choice("transport", launch.transport, ("board", "ray"))
    for name, value in (
        ("wait", launch.wait), ("link_latency", launch.link_latency), ("link_bandwidth", launch.link_bandwidth),
        ("env_patience", launch.env_patience),
    ):
        check_number(name, value, "0 or more", value >= 0, "Leave it out for none.")
    check_count("max_nodes", launch.max_nodes, 0)
    check_count("env_workers", launch.env_workers, 0, 1000)
    if launch.interpret and launch.backend != "local":
        raise SpecError(
            "interpret", expected="--backend local", found=repr(launch.backend),
            remedy="Use --backend local --interpret."
        )
    if len(launch.grain) > _LONGEST_GRAIN:
        raise SpecError(
            "grain", expected="layer, block:K or neuron", found=shown(launch.grain), remedy="Use a smaller K."
        )


def check_no_link(launch: LaunchSpec) -> None:
    """Refuse an emulated link where there is none.

    Raises:
        SpecError: naming the field.
    """
    for name in ("link_latency", "link_bandwidth"):
        if getattr(launch, name) > 0:
            raise SpecError(
                name, expected="0 for a run on one node, or without a board", found=str(getattr(launch, name)),
                remedy="Links are between the nodes of a cluster: give --address and, say, --placement by-team.",
            )


def check_where(spec: RunSpec, launch: LaunchSpec) -> None:
    """Refuse a run where it cannot run: one that runs free without a board, or parts of layers that must be whole.

    Raises:
        SpecError: naming the field of the launch.
    """
    if any(rule.whole_layers for rule in spec.rules) and launch.grain != "layer":
        raise SpecError(
            "grain", expected="layer with these settings of the rule", found=repr(launch.grain),
            remedy="Use --grain layer, or --feedback mirror: products of parts of a layer would have to be added up.",
        )
    pinned = launch.backend == "ray" and launch.transport == "board" and not spec.rule.runs_free
    if not pinned and launch.pin not in ("auto", "none"):
        raise SpecError(
            "pin", expected="auto or none for a run without actors that wait for each other on a board",
            found=shown(launch.pin), remedy="Leave it out: nothing is pinned.",
        )
    if not spec.rule.runs_free:
        return
    for field, value, needed in (("backend", launch.backend, "ray"), ("transport", launch.transport, "board")):
        if value != needed:
            raise SpecError(
                field, expected=f"{needed} for a team that runs free", found=repr(value),
                remedy=f"Use --{field} {needed}, or leave out --free-running: the ticked form runs everywhere.",
            )
