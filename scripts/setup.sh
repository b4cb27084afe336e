#!/usr/bin/env bash
# Makes the virtual environment that all make targets use, with attndsl installed editable.
#
#   scripts/setup.sh PYTHON VENV
#
# Where PYTHON already has a torch for GPUs, the environment uses that torch. Everywhere else it gets
# the build for CPUs that constraints-cpu.txt names, so that no CUDA packages are downloaded.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1
venv=$2

fail() {
    echo "setup: $*" >&2
    exit 1
}

command -v "$python" >/dev/null || fail "no '$python' on the path; run: make PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "$("$python" --version) is too old; run: make PYTHON=python3.11 (3.10 or newer)"

gpu_torch='import torch; assert torch.version.cuda or torch.version.hip; print(torch.__version__)'
constraints=constraints-cpu.txt
options=""
if found=$("$python" -c "$gpu_torch" 2>/dev/null); then
    echo "setup: using the installed torch $found"
    options=--system-site-packages
    constraints=$(mktemp)
    trap 'rm -f "$constraints"' EXIT
    echo "torch==$found" >"$constraints"
fi

echo "setup: making $venv and installing attndsl into it (a few minutes the first time)"
"$python" -m venv $options "$venv" ||
    fail "cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv"
"$venv/bin/python" -m pip install -qq --disable-pip-version-check -c "$constraints" -e '.[torch,triton,transformers,diffusers,dev]' ||
    fail "installation failed (see above). If it found no torch ending in +cpu, add the package index that" \
        "has PyTorch's CPU builds: PIP_EXTRA_INDEX_URL=... make test"
