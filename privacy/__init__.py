"""Privacy: the rules, the search for what is private, and what is done to each text."""
