"""Syntax: from the text of a `.attn` file to its syntax tree and back. The first stage of the pipeline."""
