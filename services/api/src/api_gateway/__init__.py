"""The front door: one address for all services."""
