"""The schema: taken up and down, and compared with what this release needs."""
