"""The OpenAPI document: the contract of each route, and the generator."""
