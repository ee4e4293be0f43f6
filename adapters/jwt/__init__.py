"""Signed tokens: JSON Web Tokens verified by keys that fix their algorithm."""
