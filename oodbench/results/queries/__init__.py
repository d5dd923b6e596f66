"""What questions are made of: conditions, the user's SQL, scores, one run's details."""
