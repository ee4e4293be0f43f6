"""The package that the wheel installs. The packages of the service lie in it."""
