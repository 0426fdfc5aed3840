"""Stage-B: from summary lines to verdicts."""
