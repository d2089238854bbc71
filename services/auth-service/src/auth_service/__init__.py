"""Tenants, users, their tokens and sessions."""
