"""How much is stored, and how long it is kept."""
