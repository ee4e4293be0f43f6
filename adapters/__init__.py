"""Adapters: one package for each technology; packages do not import each other."""
