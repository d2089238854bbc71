"""What the measuring instruments cost, how right they are, and how the field does beside them."""
