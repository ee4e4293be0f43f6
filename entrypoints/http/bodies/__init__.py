"""Bodies of requests: read within bounds, and parsed into what is right by construction."""
