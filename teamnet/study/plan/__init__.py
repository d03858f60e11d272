"""What a run would cost before it is started: a calibrated machine, a described cluster, a simulated protocol."""
