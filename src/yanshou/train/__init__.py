"""Training is ms-swift's; here is what starts it, follows it and makes a checkpoint of its result (extra `train`)."""
