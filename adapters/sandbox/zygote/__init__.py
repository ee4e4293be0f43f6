"""The sandboxes in which workers are started: planned, built, replaced."""
