"""JSON Web Tokens: parsed, verified by fixed and by published keys, checked, and issued for local use."""
