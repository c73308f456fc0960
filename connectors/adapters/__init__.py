"""One file for each kind of system that is asked."""
