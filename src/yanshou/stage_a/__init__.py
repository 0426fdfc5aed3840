"""Stage-A: from photos to checked summary lines."""
