"""Checkers: pure functions of a timeline and an expectation that give a verdict; one SLA a file."""
