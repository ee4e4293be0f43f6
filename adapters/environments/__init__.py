"""Trees of environments: packed, and unpacked on a host."""
