"""The time of a kernel on a device: its arithmetic, its memory traffic, or its longest chain of products.

The model knows the rates of data sheets and three constants. It leaves out what is no product (exponentials,
sums, masks), and it has been fitted to published times of a few kernels on one GPU, not to kernels of
attndsl: read it for what scales how, and for which of two algorithms is faster by far.
"""

from __future__ import annotations

from dataclasses import dataclass

from attndsl.simulate.devices import Device

ATTAINED = 0.7
"""The share of the peak rate of products that good attention kernels reach.

FlashAttention-2 takes 162.9 ms for causal attention over 32,768 tokens, batch 4, 32 heads of 128 channels, in
the table of github.com/OpenNLPLab/lightning-attention: 69 % of an A100's peak, if that is the GPU.
"""

WAIT = 1.2e-6
"""Seconds that a product takes longer where it waits for the one before it.

Lightning Attention-2 takes 17.7 ms in the same table. Its kernel runs 512 programs (batch, heads, and 4
blocks of 32 channels of the values) of 512 chunks with four products each, in TF32: on 108 processors 7.3
microseconds per chunk, 2.3 of them for the products at the rate above.
"""

LAUNCH = 5e-6
"""Seconds that each kernel takes beside its work: the order of magnitude of CUDA's launches."""


@dataclass(frozen=True)
class Kernel:
    """What a kernel does. A program is what one processor does on its own.

    flops: of all programs together, in products. longest: of the program that has the most. waits: products
    of each program that wait for the one before them. bytes: of tensors that are read or written. slowdown:
    of products over those of bfloat16. launches: of kernels on the device.
    """

    programs: int
    flops: float
    longest: float
    bytes: float
    waits: int = 0
    slowdown: float = 1.0
    launches: int = 1


def seconds(kernel: Kernel, device: Device) -> float:
    """The predicted time of a kernel."""
    rate = ATTAINED * device.tflops * 1e12 / device.processors / kernel.slowdown
    longest = kernel.longest / rate + kernel.waits * WAIT
    shared = (kernel.flops / rate + kernel.programs * kernel.waits * WAIT) / device.processors
    memory = kernel.bytes / (device.bandwidth * 1e12)
    return kernel.launches * LAUNCH + max(longest, shared, memory)
