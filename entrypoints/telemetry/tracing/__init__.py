"""Traces across processes: W3C Trace Context, and spans of OpenTelemetry if they are enabled."""
