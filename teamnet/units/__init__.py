"""Units: the learning agents, each with its private parameters, optimiser state, traces and noise stream."""
