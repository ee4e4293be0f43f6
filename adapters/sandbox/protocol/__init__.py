"""What workers are asked to do, and what their answers and their ends mean."""
