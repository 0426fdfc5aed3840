"""The engine that keeps a GPU busy: continuous batching over KV slots. `engine.py` holds its map."""
