"""What a run is: small frozen dataclasses, the presets of the paper's tasks, and the checks that refuse nonsense."""
