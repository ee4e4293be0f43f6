"""The command `doctor`: checks of an installation."""
