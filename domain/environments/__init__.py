"""Environments: locked sets of packages that scripts may import."""
