"""Long runs of the sandbox: what leaks, and what neighbours notice."""
