"""Cross compilation without a GPU: all targets take the kernels; Hopper uses wgmma and spills nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

import attndsl
from attndsl.codegen.triton_configuration import Configuration, Direction
from attndsl.codegen.triton_targets import TARGETS
from attndsl.diagnostics import AttnBackendError
from attndsl.ir.bound import BoundIR
from attndsl.runtime.triton_problem import Problem
from attndsl.runtime.triton_resources import DIRECTIONS, KernelResources, resources, resources_table
from tests.patterns.examples import examples
from tests.runtime.triton_worker import interpreted, needs_triton

pytestmark = needs_triton

FAST = (("gna", 64), ("causal", 64), ("sliding_window", 128), ("document", 128))
"""Patterns and head dimensions that are compiled for every target by each run of the tests."""

CHECKED = ("sm80", "sm90", "sm100", "gfx942")
SMALL = ("video_infinity", "agent")
"""Patterns whose examples have fewer queries than a Hopper matrix instruction has rows."""

REGISTERS_APART = 24
"""How far registers may be from the golden table, which another release of Triton would change."""


def compiled(
    name: str, target: str, dim: int, directions: Any = DIRECTIONS, **options: Any
) -> list[KernelResources]:
    """What the kernels of a pattern's last example use: the largest that was published."""
    settings = list(examples(name).values())[-1]
    whole = attndsl.pattern(name).bind(**settings).ir
    dtype = options.pop("dtype", torch.bfloat16)
    problems = [Problem(ir, dim, dim, dtype, TARGETS[target]) for ir in with_kernels(whole)]
    return [row for problem in problems for row in resources(problem, directions, **options)]


def with_kernels(ir: BoundIR) -> list[BoundIR]:
    """The pattern, or its branches, without those that products of matrices compute."""
    parts = ir.branches or (ir,)
    return [each for each in parts if not each.over_channels and each.weighting.normalize != "flow"]


def check(name: str, target: str, rows: list[KernelResources]) -> None:
    for row in rows:
        assert row.used.shared <= TARGETS[target].shared
        if target == "sm90" and name not in SMALL:
            assert row.used.spills == 0, row
            assert row.matrix == "wgmma", row
        assert row.matrix != "none", row


@pytest.mark.parametrize("target", CHECKED)
@pytest.mark.parametrize(("name", "dim"), FAST)
def test_the_forward_kernel(name: str, target: str, dim: int) -> None:
    check(name, target, compiled(name, target, dim, ["forward"]))


@pytest.mark.slow
@pytest.mark.parametrize("dim", [64, 128])
@pytest.mark.parametrize("target", CHECKED)
@pytest.mark.parametrize("name", attndsl.patterns())
def test_all_kernels(name: str, target: str, dim: int) -> None:
    check(name, target, compiled(name, target, dim))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("dim", [64, 128, 256])
@pytest.mark.parametrize("target", ["sm80", "sm86", "sm90", "sm100", "gfx942"])
def test_defaults_fit_the_shared_memory_in_every_size_and_type(target: str, dim: int, dtype: str) -> None:
    rows = compiled("gna", target, dim, dtype=getattr(torch, dtype))
    assert all(row.used.shared <= TARGETS[target].shared for row in rows)
    if target == "sm90" and (dtype, dim) != ("float32", 256):
        assert all(row.used.spills == 0 for row in rows)


@pytest.mark.slow
def test_eight_bit_inputs_use_eight_bit_products() -> None:
    (row,) = compiled("gna", "sm90", 128, ["forward"], dtype=torch.float8_e4m3fn)
    assert row.matrix == "wgmma"
    assert row.used.spills == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["causal", "full"])
def test_specialised_warps_on_hopper(name: str) -> None:
    chosen = Configuration(128, 64, 4, 2, loops="merged", loads="descriptors", specialize=True)
    (row,) = compiled(name, "sm90", 128, ["forward"], chosen=chosen)
    assert row.used.registers == 168  # what a kernel with setmaxnreg starts with
    assert row.used.spills == 0


def test_golden_resources(golden: Callable[[str, str], None], request: pytest.FixtureRequest) -> None:
    """The table of the fast subset: tiles and shared memory to the letter, registers roughly."""
    found = {
        f"{name} {row.program} {row.target} d{dim}": [
            *row.q_tile,
            *row.kv_tile,
            row.used.shared,
            row.used.registers,
        ]
        for name in ("gna", "causal")
        for dim in (64, 128)
        for row in compiled(name, "sm90", dim, ["forward"])
    }
    path = request.path.parents[1] / "golden" / "triton" / "resources.json"
    if request.config.getoption("--update-golden"):
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    wanted = json.loads(path.read_text(encoding="utf-8"))
    assert {key: row[:-1] for key, row in found.items()} == {key: row[:-1] for key, row in wanted.items()}
    assert all(abs(found[key][-1] - wanted[key][-1]) <= REGISTERS_APART for key in wanted)


def test_the_table_names_kernels_and_tiles() -> None:
    table = resources_table(compiled("causal", "gfx942", 64, ["forward"]))
    assert table.splitlines()[0].startswith("| kernel | target | q tile | kv tile |")
    assert "| forward | gfx942 | 128 | 64 | 4 | 1 |" in table
    assert table.rstrip().endswith("| mfma |")


def test_the_first_configuration_without_spills_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    choices = [Configuration(128, 128, 4, 2), Configuration(64, 64, 4, 2)]
    monkeypatch.setattr("attndsl.runtime.triton_problem.Printer.defaults", lambda self, direction: choices)
    (row,) = compiled("causal", "sm90", 128, ["forward"])
    assert row.configuration == choices[1]


def test_the_interpreter_compiles_nothing() -> None:
    assert interpreted(code_of_error, "causal", ("forward",)) == "A0712"


def code_of_error(name: str, directions: tuple[Direction, ...]) -> str:
    try:
        compiled(name, "sm90", 64, directions)
    except AttnBackendError as error:
        return error.code
    return ""
