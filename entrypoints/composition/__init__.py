"""The composition root: which class is used for what; the only package that names adapters."""
