"""The command `explain`: what is known about an id, with its sources."""
