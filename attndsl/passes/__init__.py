"""Passes over the IR: resolve (syntax tree to pattern IR), bind (pattern IR to bound IR), simplify."""
