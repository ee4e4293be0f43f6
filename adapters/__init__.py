"""Adapters: one room per technology; no room knows another."""
