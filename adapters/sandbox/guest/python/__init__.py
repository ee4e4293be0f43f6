"""The guest that runs Python scripts; the zygote imports it as the package `python`."""
