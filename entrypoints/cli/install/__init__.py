"""The command `install`: units of systemd for this installation."""
