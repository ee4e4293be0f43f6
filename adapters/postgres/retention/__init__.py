"""How long things are stored, how much that is, and what is removed."""
