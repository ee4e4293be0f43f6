"""Guards and middleware: authentication, host names, rate limits, cross-origin requests."""
