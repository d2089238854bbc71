"""Faults that are proved to have landed and to be gone, and what keeps them safe: guard, lease, ledger."""
