"""Weights and activations in FP8: 8 bits per number (e4m3: 4 of exponent, 3 of mantissa), and one scale per row.

activations  rows of activations, each with a scale of its own
linear       a linear layer whose weights have one scale per output channel
layers       which layers of a checkpoint become FP8
plan         whether a checkpoint can run in FP8 here, and how much memory that saves
loading      a checkpoint's files → the model on its device, tensor by tensor

A row's scale depends on this row alone, so a photo's answer does not depend on the photos beside it.
"""
