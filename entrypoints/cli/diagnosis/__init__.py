"""What is looked at in an installation, and what is to be said of it."""
