"""Writes docs/cookbook: every library pattern with its picture, its lines, its settings and their figures.

    python -m scripts.cookbook

Everything on the page comes from the library: the text of the `.attn` files, the settings that their
docstrings name, and what the simulator predicts for them. What cannot be predicted or drawn is listed with
the reason. A test keeps the page equal to what this prints.
"""
