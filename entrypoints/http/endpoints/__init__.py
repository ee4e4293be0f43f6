"""Endpoints: they decode the request, call a service, and encode the response."""
