"""Ways to talk less: the learning curve of each beside what it says in a step."""
