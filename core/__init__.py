"""What every room stands on: the error tree, waiting, the clock, and safe files and processes."""
