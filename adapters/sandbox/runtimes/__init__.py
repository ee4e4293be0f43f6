"""Interpreters and programs of the host: their libraries, their bind mounts, and copies for the workers' uid."""
