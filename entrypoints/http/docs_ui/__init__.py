"""The page that shows the OpenAPI document: Swagger UI, vendored whole, so that it works offline."""
