"""Faults of the server, of the network and of the controller, under load."""
