"""Live events: what running executions write, read by any number of readers from any point."""
