"""What the runs say, in words: conclusions, recommendation, summary."""
