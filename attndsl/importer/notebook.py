"""Edited `.attn` files in IPython and notebooks: current in the next cell, where `%autoreload` is on.

IPython's autoreload looks at files that end in `.py` only. This does the same for `.attn`, before each cell;
names of the user's that stand for a pattern of the file get the new one.
"""

from __future__ import annotations

import sys
from importlib import reload
from typing import Any

_watched: set[str] = set()


def watch(module: str) -> None:
    """Keep a `.attn` module current, if this process runs IPython."""
    shell = _shell()
    if shell is not None:
        _watched.add(module)
        shell.events.register("pre_run_cell", reload_changed)  # a second registration changes nothing


def reload_changed(cell: object = None) -> None:
    """Reload what has changed. A file with a mistake is reported once, and its module kept as it was."""
    shell = _shell()
    if shell is None or not _autoreload_is_on(shell):
        return
    for name in _watched & set(sys.modules):
        loader: Any = getattr(sys.modules[name].__spec__, "loader", None)
        if loader.changed_at() not in (None, loader.loaded_at):
            _reload(name, shell)


def _reload(name: str, shell: Any) -> None:
    module = sys.modules[name]
    before = {key: vars(module).get(key) for key in module.__all__}
    try:
        reload(module)
    except ImportError as error:
        print(f"[autoreload of {name} failed]\n{error}", file=sys.stderr)
        return
    for mine, value in list(shell.user_ns.items()):
        for key, old in before.items():
            if value is old and key in module.__all__:
                shell.user_ns[mine] = getattr(module, key)


def _shell() -> Any:
    """The running IPython, or None."""
    ipython: Any = sys.modules.get("IPython")
    return ipython.get_ipython() if hasattr(ipython, "get_ipython") else None


def _autoreload_is_on(shell: Any) -> bool:
    magics = shell.magics_manager.registry.get("AutoreloadMagics")
    return bool(getattr(getattr(magics, "_reloader", None), "enabled", False))
