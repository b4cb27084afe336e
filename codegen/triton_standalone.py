"""Makes a printed Triton forward kernel stand alone: one file with its schedule and a function to call it.

The file needs torch and Triton only. Where masks depend on inputs it visits every tile that may be visible.
"""

from __future__ import annotations

import base64
import textwrap
import zlib
from collections.abc import Iterator

import numpy as np

from attndsl.codegen.triton import PrintedKernel
from attndsl.codegen.triton_arguments import Parameter, element_type
from attndsl.codegen.triton_layout import indented
from attndsl.diagnostics import AttnUnsupportedError
from attndsl.ir.bound import BoundIR, input_sizes, needs_more

_IMPORTS = "import triton\nimport triton.language as tl\n"

_LOADER = '''\
@functools.cache
def schedule_array(name, device):
    """One of the schedule's arrays on a device."""
    kind, shape, text = SCHEDULE[name]
    data = bytearray(zlib.decompress(base64.b64decode(text)))
    return torch.frombuffer(data, dtype=kind).reshape(shape).to(device)'''


def standalone_kernel(kernel: PrintedKernel, ir: BoundIR, dtype: str) -> str:
    """The file of a forward kernel for `ir`, with a function `attention(q, k, v, ..., scale=None)`.

    The kernel must read tensors by pointers, so that it takes any strides.
    """
    if needs_more(ir):
        raise AttnUnsupportedError(
            "A0903",
            f"a file that stands alone cannot hold the sink, gate or low-rank bias of `{ir.name}`",
            help="call the bound pattern, which computes them around its kernel",
        )
    if kernel.boxes:
        raise ValueError("standalone kernels read tensors by pointers")
    own = "import base64\nimport functools\nimport zlib\n\nimport torch\n"
    source = kernel.source.replace(_IMPORTS, own + _IMPORTS)
    parts = [source.rstrip(), "\n".join(_arrays(kernel)), _LOADER, "\n".join(_function(kernel, ir, dtype))]
    return "\n\n\n".join(parts) + "\n"


def _arrays(kernel: PrintedKernel) -> Iterator[str]:
    yield "# Block map, order of tiles and numbers of the mask: type, shape, compressed bytes"
    yield "SCHEDULE = {"
    for name, array in kernel.arrays.items():
        text = base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode()
        yield f'    "{name}": (torch.{array.dtype}, {array.shape}, """'
        yield from textwrap.wrap(text, 110)
        yield '    """),'
    yield "}"


def _function(kernel: PrintedKernel, ir: BoundIR, dtype: str) -> Iterator[str]:
    names = [declared.name for declared in ir.kernel_inputs]
    yield f"def attention({', '.join(['q', 'k', 'v', *names, 'scale=None'])}):"
    yield from indented(_body(kernel, ir, dtype))


def _body(kernel: PrintedKernel, ir: BoundIR, dtype: str) -> Iterator[str]:
    queries, keys = ir.query_space.size, ir.key_space.size
    yield f'"""Attention of {ir.name}: output like q, and the natural log-sum-exp in float32.'
    yield ""
    yield f"q: {dtype} [batch, {ir.heads}, {queries}, D]; k, v: [batch, {ir.kv_heads}, {keys}, D or Dv]."
    yield "scale: positive, by default D**-0.5."
    for declared in ir.kernel_inputs:
        sizes = ", ".join(map(str, declared.shape))
        yield f"{declared.name}: {declared.kind} values, [{sizes}] or [batch, {sizes}]."
    yield '"""'
    yield f"assert q.shape[1:3] == ({ir.heads}, {queries}), q.shape"
    yield f"assert k.shape[1:3] == v.shape[1:3] == ({ir.kv_heads}, {keys}), (k.shape, v.shape)"
    yield "assert scale is None or scale > 0, scale"
    yield f"assert q.dtype == k.dtype == v.dtype == torch.{dtype}, (q.dtype, k.dtype, v.dtype)"
    out = next(tensor for tensor in kernel.program.outputs if tensor.columns)
    kind = element_type(out, dtype, output=True)
    yield f"out = torch.empty((*q.shape[:3], v.shape[3]), dtype=torch.{kind}, device=q.device)"
    yield "lse = torch.empty(q.shape[:3], dtype=torch.float32, device=q.device)"
    for declared in ir.kernel_inputs:
        stored = {"int": "int64", "real": "float64", "bool": "bool"}[declared.kind]
        tensor = f"torch.as_tensor({declared.name}, device=q.device)"
        yield f"{declared.name} = {tensor}.to(torch.{stored}).contiguous()"
    yield f"owner_tiles = {kernel.owner_tiles}"
    yield f"{kernel.program.name}[(len(q) * {ir.heads} * owner_tiles,)]("
    arguments = dict.fromkeys(_argument(each, ir) for each in kernel.parameters)
    yield from textwrap.wrap(f"{', '.join(arguments)},", 100, initial_indent="    ", subsequent_indent="    ")
    chosen = kernel.configuration
    exact = ", enable_fp_fusion=False" if kernel.exact_reals else ""
    yield f"    num_warps={chosen.warps}, num_stages={chosen.stages}{exact},"
    yield ")"
    yield "return out, lse"


_COUNTS = {
    "map_batch_stride": "0",
    "batch_heads": "q.shape[0] * q.shape[1]",
    "heads_together": "q.shape[1]",
    "owner_tiles": "owner_tiles",
    "q_tokens": "q.shape[2]",
    "kv_tokens": "k.shape[2]",
}
"""What the launch passes for numbers of tokens, tiles and heads."""


def _argument(parameter: Parameter, ir: BoundIR) -> str:
    """What the launch passes for a parameter."""
    name = parameter.name
    match parameter.role:
        case "stride":
            return f"*{name.rsplit('_', 2)[0]}.stride()"  # the same for all strides of a tensor
        case "input" if name.endswith("_batch_stride"):
            tensor = name.removesuffix("_batch_stride")
            return f"{tensor}.stride(0) if {tensor}.ndim > {len(input_sizes(ir, tensor))} else 0"
        case "input":
            return name.removesuffix("_values")
        case "number":
            return f"q.shape[3] ** -0.5 if {name} is None else {name}"
        case "schedule" | "array":
            return f'schedule_array("{name}", q.device)'
        case "count":
            return _COUNTS[name]
    return name
