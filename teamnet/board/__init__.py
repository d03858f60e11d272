"""The data plane: slots of activations and signals, and the round counters by which units wait for each other."""
