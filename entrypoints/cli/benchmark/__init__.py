"""A benchmark of a service that runs, made from where its callers are."""
