"""A self-contained page about the contents of run folders."""
