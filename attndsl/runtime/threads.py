"""How many threads kernels may use: torch's number, and one in processes that were forked.

The OpenMP runtime of g++ keeps its threads from call to call. A forked process has none of them, and would
wait for them forever (gcc.gnu.org, bug 60035); torch may have started them, so no process can know.
"""

from __future__ import annotations

import os

import torch

_forked = False


def threads_for(tiles: int) -> int:
    """The number of threads for so many independent tiles."""
    return 1 if _forked else max(1, min(torch.get_num_threads(), tiles))


def _remember_fork() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_remember_fork)
