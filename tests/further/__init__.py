"""Suites of what few changes touch: the files of a release, the fake origin, the OpenAPI document by its schema."""
