"""What the service counts and measures, and how Prometheus gets it."""
