"""The types of bodies, of requests and of answers, by their field names in JSON."""
