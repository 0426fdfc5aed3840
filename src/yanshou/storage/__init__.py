"""Files on disk: strict lines, atomic replacement, locks, and what one run writes for one mission (`run_files`)."""
