"""The experiment of ``teamnet depth``."""

from __future__ import annotations

from teamnet.study.depth import figure
from teamnet.study.depth.methods import METHODS
from teamnet.study.experiment.study import Experiment

DEPTH = Experiment("depth", METHODS, "depth/report.md.j2", extras={"figure": figure})
