"""How far settling gets: what each schedule would learn from the very same steps, beside settling for 400 steps.

A run of LunarLander leaves twenty checkpoints. From each of them, every schedule takes one step with the same noise,
and what that adds to the eligibility traces of each layer's synapses is compared: the cosine with, and the length as a
share of, what 400 steps of the schedule jacobi add, at the median over the checkpoints. ``settling.py STEPS`` (50,000).
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from teamnet.spec.change import changed
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.training.run import Run
from teamnet.training.saving import Saving
from teamnet.training.session import train

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
SCHEDULES = (("jacobi", 400), ("jacobi", 20), ("descents", 1), ("descents", 2), ("sweeps", 2), ("descents", 8))
LOCAL = LaunchSpec(backend="local")
SPEC = replace(preset("lunarlander", "frugal"), seed=1000, env_steps=STEPS, episodes=None)


def added_to_traces(spec: RunSpec, checkpoint: Path) -> dict[str, np.ndarray]:
    """What one step adds to the traces of each layer's synapses."""
    run = Run(replace(spec, env_steps=2**40), LOCAL)
    try:
        run.load(checkpoint, SPEC)
        before, step = run.state(), run.step
        run.advance(lambda: run.step > step)
        run.pause()
        after = run.state()
    finally:
        run.close()
    trace_lambda = {"actor": spec.actor and spec.actor.trace_lambda, "critic": spec.critic and spec.critic.trace_lambda}
    return {
        name: (after[name] - spec.discount * (trace_lambda[name.split(".")[0]] or 0.0) * before[name]).ravel()
        for name in before if name.endswith("incoming.trace")
    }


with tempfile.TemporaryDirectory() as folder:
    summary, _ = train(SPEC, LOCAL, Path(folder), saving=Saving(every=max(1, STEPS // 20), keep=20))
    checkpoints = sorted(Path(folder).glob("checkpoint-*.json"))
    added = {
        (schedule, steps): [
            added_to_traces(changed(SPEC, schedule=schedule, settle_steps=steps), path) for path in checkpoints
        ] for schedule, steps in SCHEDULES
    }

print({"digest": summary["digest"], "mean_return": summary["mean_return"], "checkpoints": len(checkpoints)})
print(f"{'layer':10} {'schedule':12} {'cosine':>7} {'least':>7} {'length':>7}")
for name in added[SCHEDULES[0]][0]:
    settled = [its[name] for its in added[SCHEDULES[0]]]
    for schedule, steps in SCHEDULES[1:]:
        pairs = [(its[name], best) for its, best in zip(added[schedule, steps], settled, strict=True)]
        pairs = [(its, best) for its, best in pairs if its.any() and best.any()]
        cosines = [its @ best / np.linalg.norm(its) / np.linalg.norm(best) for its, best in pairs]
        lengths = [np.linalg.norm(its) / np.linalg.norm(best) for its, best in pairs]
        layer = " ".join(name.split(".")[:2])
        said = f"{np.median(cosines):7.3f} {min(cosines):7.3f} {np.median(lengths):7.3f}"
        print(f"{layer:10} {schedule + ' ' + str(steps):12} {said}")
