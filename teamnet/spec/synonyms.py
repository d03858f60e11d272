"""What other libraries call the options of this one."""

from __future__ import annotations

_RATES = "Give a rate for each layer of each team: actor={'rates': ...}, --actor.rates 1e-2 1e-5 1e-6; and final_rates."
_STEPS = "Use env_steps, or --env-steps: the environment steps of the run."
_ROWS = "Use num_envs, or --num-envs: the parallel environments, which are the rows of a batch."
SYNONYMS = {
    **dict.fromkeys(("learning_rate", "lr", "alpha"), _RATES),
    **dict.fromkeys(("gamma", "discount_factor"), "Use discount, or --discount."),
    **dict.fromkeys(("gae_lambda", "lam", "trace_decay"), "Use trace_lambda of a team: --actor.trace-lambda 0.9."),
    **dict.fromkeys(("total_timesteps", "timesteps", "n_timesteps", "steps", "max_steps"), _STEPS),
    **dict.fromkeys(("n_envs", "batch_size", "batch"), _ROWS),
    **dict.fromkeys(
        ("net_arch", "hidden_sizes", "hidden_layers", "policy_kwargs"),
        "Use hidden, or --hidden 64 32: the neurons of each hidden layer.",
    ),
    **dict.fromkeys(("activation", "activation_fn"), "Use function, or --function relu."),
    **dict.fromkeys(("device", "n_workers", "num_workers", "num_cpus"), "Use backend, grain and address."),
    **dict.fromkeys(("policy", "algo", "algorithm"), "Use rule or preset: how units learn."),
    **dict.fromkeys(
        ("normalize", "norm_obs", "norm_reward", "normalize_observations", "normalize_rewards"),
        "Use normalise_observations and normalise_rewards.",
    ),
    **dict.fromkeys(("env", "env_id", "environment"), "Give the task first: a preset's name or a Gymnasium id."),
    **dict.fromkeys(("ent_coef", "entropy_coef"), "Use entropy, a setting of --rule backprop."),
    **dict.fromkeys(("n_steps", "n_epochs", "buffer_size", "clip_range"), "Leave it out: units learn in every step."),
}
"""The remedy for an option that other libraries have, by its name with underscores."""
