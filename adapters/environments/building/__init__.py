"""Builds of environments: packages are installed in a sandbox, judged, and packed."""
