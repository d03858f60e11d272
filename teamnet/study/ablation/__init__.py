"""``teamnet ablation``, a communication ablation: the learning curve of each variant and its traffic per step."""
