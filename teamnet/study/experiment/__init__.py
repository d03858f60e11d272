"""What every experiment is made of: cells, what runs them, their records, and tables and figures of these."""
