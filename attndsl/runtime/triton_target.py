"""Compiles printed Triton kernels for a GPU that need not be there: machine code, and what it uses.

This is how defaults were chosen, and how every pattern is checked for every target without a GPU.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attndsl.codegen.triton import PrintedKernel
from attndsl.codegen.triton_targets import Target
from attndsl.diagnostics import AttnBackendError
from attndsl.runtime.triton_interpreter import interprets
from attndsl.runtime.triton_module import load_function, require_triton


@dataclass(frozen=True)
class Resources:
    """What one kernel uses.

    registers: per thread. shared: bytes of shared memory per program. spills: bytes per thread of values that
    did not fit into registers.
    """

    registers: int
    shared: int
    spills: int


def cross_compile(kernel: PrintedKernel, target: Target) -> Any:
    """Triton's compiled kernel for tensors in the usual layout: aligned, channels next to one another.

    `asm` holds its stages as text: 'ttgir', 'ptx' or 'amdgcn', and more. Raises AttnBackendError A0712 in the
    interpreter, which compiles nothing.
    """
    triton = require_triton()
    if interprets():
        raise AttnBackendError(
            "A0712",
            "Triton's interpreter is on, so that nothing can be compiled",
            help="unset TRITON_INTERPRET",
        )
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = {p.name: number for number, p in enumerate(kernel.parameters)}
    ones = {p.name for p in kernel.parameters if p.name.endswith("_channel_stride")}
    signature = {p.name: "constexpr" if p.name in ones else p.type for p in kernel.parameters}
    aligned = [[["tt.divisibility", 16]] if p.aligned else None for p in kernel.parameters]
    source = ASTSource(
        fn=load_function(kernel),
        signature=signature,
        constexprs={(names[name],): 1 for name in ones},
        attrs={(number,): facts for number, facts in enumerate(aligned) if facts},
    )
    options = compile_options(kernel)
    return triton.compile(
        source, target=GPUTarget(target.backend, target.architecture, target.warp), options=options
    )


def compile_options(kernel: PrintedKernel) -> dict[str, Any]:
    """What Triton is told besides the source."""
    chosen = kernel.configuration
    fusion = {"enable_fp_fusion": False} if kernel.exact_reals else {}
    return {"num_warps": chosen.warps, "num_stages": chosen.stages, **fusion}


def resources_of(compiled: Any, target: Target) -> Resources:
    """What a compiled kernel uses."""
    if target.backend == "hip":
        text = compiled.asm["amdgcn"]
        spilled = 4 * _number(r"\.vgpr_spill_count:\s*(\d+)", text)
        return Resources(_number(r"\.vgpr_count:\s*(\d+)", text), compiled.metadata.shared, spilled)
    report = _cuobjdump(compiled.asm["cubin"])
    spilled = _number(r"STACK:(\d+)", report) + _number(r"LOCAL:(\d+)", report)
    return Resources(_number(r"REG:(\d+)", report), compiled.metadata.shared, spilled)


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    assert found is not None, f"no {pattern} in the report"
    return int(found.group(1))


def _cuobjdump(cubin: bytes) -> str:
    """The resource report of the `cuobjdump` inside the Triton package."""
    program = Path(require_triton().__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [str(program), "--dump-resource-usage", file.name]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
