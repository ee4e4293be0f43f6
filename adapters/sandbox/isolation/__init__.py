"""What the kernel enforces on workers: system calls, control groups, processors."""
