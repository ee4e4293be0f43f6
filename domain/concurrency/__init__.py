"""Primitives for bounded time, bounded concurrency and fair sharing."""
