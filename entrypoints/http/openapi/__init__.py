"""The OpenAPI document, made out of the route table."""
