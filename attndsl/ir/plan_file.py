"""Plans in files: the plans of all routes of one pattern, as arrays in npz, with what they were made for.

`format` and `version` say what the file is; `about` holds JSON: the pattern and, by branch, the sizes of each
plan. The arrays of a branch stand under its name. Nothing in a file is executed.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from attndsl.diagnostics import AttnFileError
from attndsl.ir.bound import BoundIR
from attndsl.ir.plan import ARRAYS, SIZES, Plan, as_numpy
from attndsl.ir.plan_checks import check_units, checked_plan, kinds_of, plans_by_name, routed_branches

FORMAT, VERSION = "attndsl-route-plan", 1
ADVICE = "pass a file that `bound.save_plan` or `attndsl plan` wrote"


def pattern_name(ir: BoundIR) -> str:
    """The pattern's name without its parameters."""
    return ir.pattern.name if ir.pattern is not None else ir.name


def plan_bytes(ir: BoundIR, given: Any, heads: int | None) -> bytes:
    """A file with plans of a bound pattern. given: a Plan, or several by branch.

    Raises AttnCallError A0690 to A0695 for plans that do not fit.
    """
    routed = routed_branches(ir)
    plans = {
        name: checked_plan(routed[name], plan, None, heads) for name, plan in plans_by_name(ir, given).items()
    }
    sizes = {name: dict(zip(SIZES, plan.sizes, strict=True)) for name, plan in plans.items()}
    about = {"pattern": pattern_name(ir), "bound": ir.name, "plans": sizes}
    arrays: dict[str, Any] = {
        f"{name}/{array}": as_numpy(value)
        for name, plan in plans.items()
        for array, value in plan.arrays.items()
    }
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        format=np.array(FORMAT),
        version=np.array(VERSION),
        about=np.array(json.dumps(about)),
        **arrays,
    )
    return buffer.getvalue()


def read_plans(ir: BoundIR, path: Path, heads: int | None) -> dict[str, Plan]:
    """The plans of a file by branch, for a bound pattern with so many query heads; None for any.

    Raises AttnFileError: A0801 for no file, A0850 for one that is damaged, A0851 for one that holds no plan,
    A0852 for another version, A0853 for another pattern. Raises AttnCallError A0690, and A0692 to A0696 for
    plans that do not fit.
    """
    routed, arrays = routed_branches(ir), _arrays(path)
    about = _about(path, arrays)
    if about["pattern"] != pattern_name(ir):
        raise AttnFileError(
            "A0853", f"`{path}` holds a plan of `{about['bound']}`, this is `{ir.name}`",
            help="load it with the pattern that it was made for",
        )  # fmt: skip
    try:
        plans = {name: _plan(name, sizes, arrays) for name, sizes in about["plans"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _foreign(path) from None
    if not plans:
        raise _foreign(path)
    for name, plan in plans_by_name(ir, plans).items():
        check_units(routed[name], checked_plan(routed[name], plan, None, heads))
    return {name: replace(plan, kinds=kinds_of(routed[name])) for name, plan in plans.items()}


def _plan(name: str, sizes: Mapping[str, int], arrays: Mapping[str, Any]) -> Plan:
    queries, keys, q_block, kv_block = (int(sizes[size]) for size in SIZES)
    indices, counts = (arrays[f"{name}/{array}"] for array in ARRAYS[:2])
    q_units, kv_units = (arrays.get(f"{name}/{array}") for array in ARRAYS[2:])
    return Plan(queries, keys, q_block, kv_block, indices, counts, q_units, kv_units)


def _arrays(path: Path) -> dict[str, Any]:
    """All arrays of a file."""
    try:
        if not zipfile.is_zipfile(path) and path.stat().st_size:
            with path.open("rb") as file:
                raise _foreign(path) if file.read(2) != b"PK" else _damaged(path, "its end is missing")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except AttnFileError:
        raise
    except FileNotFoundError:
        raise AttnFileError(
            "A0801", f"there is no file `{path}`", help="check the path, which is relative to this folder"
        ) from None
    except Exception as error:  # the parsers of zip and npz raise many kinds
        raise _damaged(path, getattr(error, "strerror", None) or str(error).split("\n")[0]) from None


def _about(path: Path, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says of itself."""
    if str(arrays.get("format")) != FORMAT:
        raise _foreign(path)
    version = arrays.get("version", np.array(None))
    if not (version.dtype.kind == "i" and version.shape == () and int(version) == VERSION):
        raise AttnFileError(
            "A0852", f"`{path}` is a plan of version {version}, this release reads version {VERSION}",
            help="install the release of attndsl that wrote it, or make the plan anew",
        )  # fmt: skip
    try:
        about = json.loads(str(arrays["about"]))
        known = {"pattern": str(about["pattern"]), "bound": str(about["bound"]), "plans": about["plans"]}
    except (KeyError, TypeError, ValueError):
        raise _foreign(path) from None
    return known


def _foreign(path: Path) -> AttnFileError:
    return AttnFileError("A0851", f"`{path}` holds no plan of a route", help=ADVICE)


def _damaged(path: Path, reason: str) -> AttnFileError:
    return AttnFileError("A0850", f"`{path}` cannot be read: {reason}", help=ADVICE)
