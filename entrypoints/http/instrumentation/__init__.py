"""What is told of every request once it has been answered."""
