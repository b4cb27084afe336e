"""Measurements of attndsl beside what users have today. Each is run by a `make bench-...` target."""
