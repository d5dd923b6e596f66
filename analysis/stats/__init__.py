"""Statistics of plain arrays: intervals, tests, smoothers. Nothing here knows of runs."""
