"""Runs the command line as `python -m attndsl`."""

from attndsl.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
