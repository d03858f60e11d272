"""The parts of every experiment: cells, their execution, their records, and tables and figures of these."""
