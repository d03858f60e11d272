"""The predicted cost of a run: a calibrated machine, a described cluster, a simulated board protocol."""
