"""Training with ms-swift (extra `train`): starts it, follows it, and makes a checkpoint of its result."""
