"""What the kernel holds a worker to."""
