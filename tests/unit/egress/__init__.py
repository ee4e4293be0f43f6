"""Tests of egress, without a network."""
