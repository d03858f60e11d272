"""``teamnet gradients``: how good a rule's update is, compared with the gradient of the expected reward."""
