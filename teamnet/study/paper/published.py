"""Published results: average return over all episodes, by task and method (arXiv 2010.07893 and its official code)."""

from __future__ import annotations

from teamnet.study.experiment.statistics import Published

PUBLISHED: dict[str, dict[str, Published]] = {
    "acrobot": {
        "map": Published(-100.29, 5.40),
        "map-async": Published(-106.71, 17.43),
        "backprop": Published(-106.29, 15.00),
        "reinforce": Published(-148.42, 47.65),
        "reinforce-part": Published(-149.11, 33.50),
    },
    "cartpole": {
        "map": Published(459.70, 13.89),
        "map-async": Published(418.61, 29.15),
        "backprop": Published(458.96, 9.44),
        "reinforce": Published(47.29, 8.22),
        "reinforce-part": Published(112.58, 42.54),
    },
    "lunarlander": {
        "map": Published(127.88, 24.57),
        "map-async": Published(76.84, 15.90),
        "backprop": Published(104.92, 31.98),
        "reinforce": Published(-62.05, 16.16),
        "reinforce-part": Published(-54.61, 23.47),
    },
    "mountaincar": {
        "map": Published(39.45, 30.48),
        "map-async": Published(46.24, 13.77),
        "backprop": Published(4.30, 59.28),
        "reinforce": Published(-35.52, 0.65),
        "reinforce-part": Published(-4.65, 0.21),
    },
}
"""By task, then method; LunarLander's are of version 2 of the environment."""

PUBLISHED_REMARKS: dict[str, dict[str, str]] = {
    "multiplexer": {
        "map": "running reward about .99 at 4M samples, mean over the first million .71 to .78",
        "reinforce": "running reward about .19 at 4M samples",
    },
}
"""Results published as a remark or a curve, without mean, deviation and number of runs; they are shown, not tested."""
