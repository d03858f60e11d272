"""What the tasks show to their teams, for whoever needs no environment."""

from __future__ import annotations

from teamnet.spec.resolve import Interface

INTERFACES = {
    "cartpole": Interface(4, 2, "categorical"), "acrobot": Interface(6, 3, "categorical"),
    "lunarlander": Interface(8, 4, "categorical"), "mountaincar": Interface(2, 1, "gaussian"),
    "multiplexer": Interface(37, 2, "categorical", single_step=True),
    "regression": Interface(8, 1, "gaussian", single_step=True),
}
