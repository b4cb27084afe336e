"""A million tokens: seconds and a few hundred megabytes, measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

TOKENS_3D, TOKENS_1D = "shape=(64, 128, 128), window=(16, 32, 32)", "shape=2**20, window=4096"

CALLS = {
    "simulate-3d": f"attndsl.pattern('gna').bind({TOKENS_3D}).simulate()",
    "optimize-3d": f"optimize(attndsl.pattern('gna').bind({TOKENS_3D}).ir)",
    "explain-3d": f"explain(attndsl.pattern('gna').bind({TOKENS_3D}).ir)",
    "simulate-1d": f"attndsl.pattern('gna').bind({TOKENS_1D}).simulate()",
    "simulate-causal": "attndsl.pattern('causal').bind(shape=2**20).simulate()",
    "optimize-1d": f"optimize(attndsl.pattern('gna').bind({TOKENS_1D}).ir)",
}

PROBE = """
import json, resource, time
import attndsl, attndsl.pipeline
from attndsl.simulate.explain import explain
from attndsl.simulate.optimize import optimize
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
{call}
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps([time.process_time() - start, used / 1024]))
"""


@pytest.mark.parametrize("name", CALLS)
def test_a_million_tokens(name: str) -> None:
    program = PROBE.replace("{call}", CALLS[name])
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    seconds, megabytes = json.loads(result.stdout)
    assert seconds < 20
    assert megabytes < 600
