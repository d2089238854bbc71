"""What is promised and whether it held: timeline, checkers, verdicts. No cluster, clock or network."""
