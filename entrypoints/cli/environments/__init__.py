"""The command `environments`."""
