"""The report's texts, one module per language."""
