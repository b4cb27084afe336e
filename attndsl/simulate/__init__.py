"""Prediction: what a pattern's tiles cost before anything runs.

`report` counts the tiles that a kernel visits and says what that means for speed, `explain` says where
the cost comes from in the pattern's text, and `optimize` looks for cheaper settings near the requested
ones. All three stand behind the schedule and need neither a GPU nor tensors.
"""
