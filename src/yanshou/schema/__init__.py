"""The content of every file that yanshou writes, and the grammar of a summary line. Validation, no I/O."""
