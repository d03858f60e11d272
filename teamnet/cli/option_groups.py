"""The options of a run by group: the order in which the help shows them."""

from __future__ import annotations

import dataclasses

from teamnet.dataflow.slots import Messages
from teamnet.spec.environment_options import ENVIRONMENT_OPTIONS

GROUPS = {
    "run": ("preset", "rule", "seed", "env_steps", "episodes", "num_envs", "json"),
    "network": ("hidden", "function", "layers", "exploration"),
    "learning": ("discount", "anneal_steps", "reward_limit", "action_scale", "action_offset", "signal", "address_bits",
                 "divergence_retries"),
    "where_it_runs": ("backend", "transport", "grain", "address", "placement", "pin", "wait", "env_patience"),
    "files": ("out", "overwrite", "resume_if_present", "save_every", "keep", "recoveries", "replay_check"),
}
"""Options by group, as the help shows them; those of the rule, and the later groups, follow."""
LATER_GROUPS = {
    "environment": (*ENVIRONMENT_OPTIONS, "env_workers"),
    "channels": (*(field.name for field in dataclasses.fields(Messages)), "link_latency", "link_bandwidth",
                 "max_nodes"),
    "callbacks": ("callback",),
    "many_runs": ("seeds", "jobs"),
    "teams": ("actor", "critic"),
}
ALIASES = {"wrappers": ("--wrapper",)}
"""Other spellings of an option."""
OF_TASKS = {
    "address_bits": ("multiplexer",), "signal": ("regression",), "action_scale": ("mountaincar",),
    "action_offset": ("mountaincar",),
}
"""Options that the help shows for some tasks alone; all tasks take them."""
