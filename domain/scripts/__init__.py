"""Scripts: their languages, their limits, and the port of what runs them."""
