"""What stub files say of parameters that take several values."""

from __future__ import annotations

from typing import Any, Protocol


class Array(Protocol):
    """A NumPy array, a tensor of torch, or anything else that gives its elements as a list."""

    def tolist(self) -> Any:
        """The elements."""
        ...
