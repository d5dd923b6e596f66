"""Claims of papers as files: a statement, what it is about, and what refutes it."""
