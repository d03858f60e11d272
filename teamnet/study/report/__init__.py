"""One self-contained page of all that folders of runs hold."""
