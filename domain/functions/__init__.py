"""Functions: scripts that are registered under a language-title."""
