"""``teamnet probe``: what messages, handovers, memory and arithmetic cost on the nodes of a cluster."""
