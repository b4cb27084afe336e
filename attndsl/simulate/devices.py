"""The devices that predictions are made for: the facts that tile counts and times depend on.

Rates are dense bfloat16 with float32 accumulation, from the makers' data sheets. Tile sizes are those of
published attention kernels for the device, in tokens; a tile's shape follows the pattern (see `tiles`).
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from attndsl.diagnostics import AttnScheduleError


@dataclass(frozen=True)
class Device:
    """One accelerator. q_tokens, kv_tokens: tokens per tile. tflops: 10**12 FLOP/s. bandwidth: 10**12 B/s."""

    name: str
    q_tokens: int
    kv_tokens: int
    tflops: float
    bandwidth: float
    processors: int
    """Streaming multiprocessors, or compute units."""
    target: str
    """What its kernels are compiled for, as in `--target`."""


DEVICES = {
    each.name: each
    for each in (
        # NVIDIA A100 80GB SXM data sheet; 128 x 64 is FlashAttention-2's tile for head size 128
        Device("a100", 128, 64, 312.0, 2.04, 108, "sm80"),
        # NVIDIA L40S data sheet and the Ada whitepaper; FlashAttention-2's tile
        Device("l40s", 128, 64, 362.0, 0.864, 142, "sm89"),
        # NVIDIA H100 SXM5 data sheet; 128 x 128 as FlashAttention-3 and NATTEN's Hopper kernels use it
        Device("h100", 128, 128, 989.4, 3.35, 132, "sm90"),
        # NVIDIA H200 SXM data sheet: an H100 with faster memory
        Device("h200", 128, 128, 989.4, 4.8, 132, "sm90"),
        # NVIDIA HGX B200 data sheet; 256 x 128 is the tile of the GNA paper's table (CUTLASS FMHA)
        Device("b200", 256, 128, 2250.0, 8.0, 148, "sm100"),
        # AMD Instinct MI300X and MI325X data sheets; 128 x 64 as in Composable Kernel's attention
        Device("mi300x", 128, 64, 1307.4, 5.3, 304, "gfx942"),
        Device("mi325x", 128, 64, 1307.4, 6.0, 304, "gfx942"),
    )
}


def device(name: str) -> Device:
    """The device of that name, upper or lower case. Raises AttnScheduleError A0550 for an unknown one."""
    found = DEVICES.get(name.lower()) if isinstance(name, str) else None
    if found is None:
        close = get_close_matches(str(name).lower(), DEVICES, n=1)
        known = f"known devices: {', '.join(DEVICES)}"
        raise AttnScheduleError(
            "A0550", f"unknown device `{name}`", help=f"did you mean `{close[0]}`?" if close else known
        )
    return found
