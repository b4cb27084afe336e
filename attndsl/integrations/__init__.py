"""Patterns inside models of other libraries. Each module is imported by whoever uses that library."""
