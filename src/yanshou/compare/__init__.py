"""Two files about the same groups, compared: two of Stage-A lines, or two of verdicts."""
