"""The intermediate representation: expressions, patterns before and after bind, and their interpreter."""
