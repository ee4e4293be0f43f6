"""The types of bodies, of requests and of responses, by their JSON field names."""
