"""Parsing of requests: bodies, query strings and headers become values that are valid by construction."""
