"""The concrete syntax of `.attn` files: grammar, typical mistakes, editor highlighting.

Data only, read by `attndsl.syntax`.
"""
