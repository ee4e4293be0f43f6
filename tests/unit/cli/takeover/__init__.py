"""The commands of a takeover."""
