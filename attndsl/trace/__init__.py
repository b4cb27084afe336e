"""Tracing: a Python function of two positions becomes a syntax tree of the language, by operator overloading.

The function is called once, with values that remember what is done to them. The tree then takes the way
of every text: the same resolution, the same type rules, the same errors. Only the places differ, which lie
in the Python file.
"""
