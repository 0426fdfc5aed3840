"""The pages of readers and of the lead, and the server behind them."""
