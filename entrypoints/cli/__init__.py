"""What the commands of an operator need."""
