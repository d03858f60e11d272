"""The learning rule: MAP propagation, of which REINFORCE is the case of no settling.

Chung, "MAP Propagation Algorithm: Faster Learning with a Team of Reinforcement Learning Agents", arXiv 2010.07893.
A team of stochastic layers ``l = 1..L`` with ``H_0`` the observation and ``H_L`` the action:

    p_l = H_{l-1} W_l + b_l        m_l = f(p_l)        H_l ~ N(m_l, v_l)
                                                       H_L ~ Categorical(softmax(p_L / T)) or N(p_L, v_L)

Every function below is what one unit does with what it can reach: its own state, the activations below it, the error
activations above it and the global signals. Arrays are float64 with one row for each parallel environment; a unit here
is ``size`` neurons of one layer.
"""

from __future__ import annotations

import numpy as np

from teamnet.kernels.arithmetic import add_correlation, add_products, fma
from teamnet.kernels.compile import kernel
from teamnet.kernels.constants import GAUSSIAN
from teamnet.kernels.functions import mean_and_slope, softmax
from teamnet.kernels.memory import fill, flat


@kernel
def predict(inputs, weights, bias, function, family, temperature, potential, mean, slope):
    """``p = h W + b``, ``m = f(p)`` and ``f'(p)``; for a categorical unit ``m = softmax(p / T)``."""
    for row in range(potential.shape[0]):
        for j in range(bias.size):
            potential[row, j] = bias[j]
    add_products(potential, inputs, weights)
    if family == GAUSSIAN:
        mean_and_slope(function, potential, mean, slope)
    else:
        softmax(potential, temperature, mean)


@kernel
def sample(mean, variance, family, noise, activation):
    """``H ~ N(m, v)`` from normals ``(rows, size)``, or one-hot ``H ~ Categorical(m)`` from uniforms ``(rows, 1)``."""
    if family == GAUSSIAN:
        deviation = np.sqrt(variance)
        for row in range(mean.shape[0]):
            for j in range(mean.shape[1]):
                activation[row, j] = mean[row, j] + deviation * noise[row, j]
    else:
        for row in range(mean.shape[0]):
            chosen, reached = mean.shape[1] - 1, 0.0
            for j in range(mean.shape[1] - 1):
                reached += mean[row, j]
                if noise[row, 0] < reached:
                    chosen = j
                    break
            for j in range(mean.shape[1]):
                activation[row, j] = 1.0 if j == chosen else 0.0


@kernel
def find_error(activation, mean, slope, variance, family, temperature, error):
    """``e = d log p(H) / d p``: ``(H - m) f'(p) / v``, for a categorical unit ``(H - m) / T``."""
    h, m, s, e = flat(activation), flat(mean), flat(slope), flat(error)
    if family == GAUSSIAN:
        precision = 1.0 / variance
        for j in range(h.size):
            e[j] = (h[j] - m[j]) * s[j] * precision
    else:
        for j in range(h.size):
            e[j] = (h[j] - m[j]) / temperature


@kernel
def feed_back(error_above, mirror, force):
    """``f_l = e_{l+1} W_{l+1}^T``; ``mirror`` is the unit's own copy of its outgoing synapses, ``W_{l+1}^T``."""
    fill(flat(force), 0.0)
    add_products(force, error_above, mirror)


@kernel
def settle(activation, mean, variance, step_size, force):
    """``H_l += a v_l ((m_l - H_l) / v_l + f_l)``: one ascent of ``log p(H_1..H_L)`` in ``H_l``.

    ``step_size`` is ``a``, and ``force`` is ``f_l``.
    """
    h, m, f = flat(activation), flat(mean), flat(force)
    precision, step = 1.0 / variance, step_size * variance
    for j in range(h.size):
        h[j] += step * ((m[j] - h[j]) * precision + f[j])


@kernel
def accumulate(trace, decay, below, error):
    """``z <- gamma lambda z + h_{l-1}^T e_l``: the eligibility trace ``(rows, in, out)`` of synapses.

    ``decay (rows,)`` is ``gamma lambda``, and 0 where an episode has just begun.
    """
    for row in range(trace.shape[0]):
        kept = decay[row]
        for i in range(trace.shape[1]):
            h = below[row, i]
            for j in range(trace.shape[2]):
                trace[row, i, j] = fma(kept, trace[row, i, j], h * error[row, j])


@kernel
def reinforce(trace, delta, gradient):
    """``g = mean over rows of delta z (in, out)``: REINFORCE with the TD error ``delta (rows,)``."""
    g, z = flat(gradient), flat(trace)
    fill(g, 0.0)
    for row in range(delta.size):
        d, start = delta[row], row * g.size
        for k in range(g.size):
            g[k] += d * z[start + k]
    for k in range(g.size):
        g[k] /= delta.size


@kernel
def accumulate_bonus(below, second_error, bonus):
    """``h^T s`` averaged over rows: the gradient ``(in, out)`` of the policy's entropy, for backpropagation."""
    fill(flat(bonus), 0.0)
    add_correlation(bonus, below, second_error)
    b = flat(bonus)
    for k in range(b.size):
        b[k] /= below.shape[0]


@kernel
def add_bonus(gradient, entropy, bonus):
    """``g += entropy * bonus``."""
    g, b = flat(gradient), flat(bonus)
    for k in range(g.size):
        g[k] += entropy * b[k]


@kernel
def reinforce_at_once(below, signalled_error, gradient):
    """``g = h^T s`` with ``s = delta e / rows``: the same without a trace, for tasks of one step."""
    fill(flat(gradient), 0.0)
    add_correlation(gradient, below, signalled_error)


@kernel
def broadcast(error, signal, share, result):
    """``signal e / share``: how a gate or a TD error ``(rows,)`` meets an error ``(rows, size)``."""
    for row in range(error.shape[0]):
        s = signal[row]
        for j in range(error.shape[1]):
            result[row, j] = error[row, j] * s / share
