"""Runtime hosts that register themselves."""
