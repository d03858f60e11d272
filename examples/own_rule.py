"""A rule of one's own: node perturbation (Williams, 1992; Fiete and Seung, 2006), which is not in the package.

    H_l = m_l + sqrt(v_l) noise                             every unit is perturbed, all at once
    z_l <- gamma lambda z_l + h_{l-1}^T (H_l - m_l) / v_l   what was tried, beside what it was tried on
    W_l <- W_l + rate * Adam(mean over rows of (R - b) z_l)

REINFORCE would have the derivative of the hidden function in the trace; b is a running mean of the reward.

    teamnet train multiplexer --address-bits 2 --rule examples/own_rule.py --env-steps 1000000 --backend local
"""

from teamnet import TeamAgent
from teamnet.operations.acting import act
from teamnet.operations.learning import accumulate, learn
from teamnet.rules import PER_NEURON, TRACES, PrivateArray, Rule, Unit, inputs, operation, step, td_error, trace_mask


class NodePerturbation(Rule):
    """Node perturbation.

    Args:
        baseline_rate: of the running mean of the reward; 0 for no baseline.
    """

    baseline_rate: float = 0.01

    private = {
        "trace": TRACES, "tried": PER_NEURON, "decay": PrivateArray(("rows",)), "better": PrivateArray(("rows", 1)),
        "baseline": PrivateArray(("size",), kept=True),
    }
    act = act

    def steps(self, layer):
        yield step("act", [inputs(layer)], ["activation"])
        remember = step("remember", [inputs(layer), trace_mask])
        learn = step("learn", [td_error])
        yield from (remember, learn) if layer.single_step else (learn, remember)

    @operation
    def remember(unit: Unit, below, mask):
        for row in range(unit.rows):
            unit.decay[row] = 0.0 if unit.single_step else unit.trace_decay * mask[row, 0]
            for j in range(unit.size):
                unit.tried[row, j] = (unit.activation[row, j] - unit.mean[row, j]) / unit.variance
        accumulate(unit.incoming.trace, unit.decay, below, unit.tried)
        accumulate(unit.biases.trace, unit.decay, unit.ones, unit.tried)

    @operation
    def learn(unit: Unit, signal):
        for row in range(unit.rows):
            unit.better[row, 0] = signal[row, 0] - unit.baseline[0]
        for j in range(unit.size):
            for row in range(unit.rows):
                unit.baseline[j] += unit.baseline_rate * unit.better[row, 0] / unit.rows
        learn(unit, unit.better)


if __name__ == "__main__":
    with TeamAgent("multiplexer", rule=NodePerturbation(), address_bits=2, backend="local") as agent:
        print(agent.learn(env_steps=300_000).summary())
