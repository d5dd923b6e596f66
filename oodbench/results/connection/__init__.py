"""Reaching a database: where it is, which engine, what its errors mean, which schema."""
