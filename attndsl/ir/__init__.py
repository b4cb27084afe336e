"""The intermediate representation: expressions, patterns before bind, patterns after bind, and the interpreter
that gives them their meaning (the oracle of every later stage)."""
