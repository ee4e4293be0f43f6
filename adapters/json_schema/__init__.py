"""JSON Schemas of callers, checked with jsonschema-rs."""
