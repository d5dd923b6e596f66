"""Can a dataset answer which models generalise? What the answers of some models say of it."""
