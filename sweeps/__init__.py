"""Recipes: sweep files (YAML). Data, no code."""
