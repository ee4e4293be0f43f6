"""The settings: their table, how they are read from the environment, checked and listed."""
