"""What happens in an environment step, as a plain graph: slots hold messages, and steps read and write them."""
