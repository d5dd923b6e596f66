"""The leaderboard: optimizers on testbeds, each cell with its interval and verdict."""
