"""What only makes training faster; without it every result is the same but for rounding."""
