#!/usr/bin/env bash
# Tests what users install: builds the source distribution, the wheel from that, installs the wheel into
# an environment of its own and runs the tests there, outside the tree, without the sources beside them.
# Arguments go to pytest. These are the tests of what packing can break: the command line, imports, the grammar,
# the patterns, and the parts of kernels that are data files.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$PWD/.venv
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "wheel test: building"
"$venv/bin/python" -m build --no-isolation --outdir "$work/dist" . >"$work/build.log" 2>&1 ||
    { cat "$work/build.log"; exit 1; }

echo "wheel test: installing $(basename "$work"/dist/*.whl)"
options=(--without-pip)
grep -q "include-system-site-packages = true" "$venv/pyvenv.cfg" && options+=(--system-site-packages)
"$venv/bin/python" -m venv "${options[@]}" "$work/venv"
"$venv/bin/python" -m pip --python "$work/venv/bin/python" install --quiet --disable-pip-version-check \
    --no-index --no-deps "$work"/dist/*.whl
# The dependencies come from .venv. Its editable attndsl stays out: a .pth file inside a folder that is
# itself on the path through a .pth file is not read.
site='import sysconfig; print(sysconfig.get_path("purelib"))'
"$venv/bin/python" -c "$site" >"$("$work/venv/bin/python" -c "$site")/dependencies.pth"

mkdir "$work/tree"
tar -xzf "$work"/dist/*.tar.gz -C "$work/tree" --strip-components 1
cd "$work/tree"
rm -rf attndsl grammar codegen patterns
"$work/venv/bin/python" -c '
import sys, attndsl
assert attndsl.__file__.startswith(sys.prefix), f"tests would run against {attndsl.__file__}"'

echo "wheel test: running the tests against the installed wheel"
"$work/venv/bin/python" -m pytest -q -n auto --maxprocesses 4 --dist worksteal -m "not slow" -p no:cacheprovider \
    tests/cli tests/importer tests/nn tests/show tests/syntax tests/patterns/test_files.py \
    tests/patterns/test_library.py tests/patterns/test_prelude.py tests/runtime/test_build.py \
    tests/runtime/test_cpu.py tests/runtime/test_library.py tests/runtime/test_recurrence.py \
    tests/runtime/test_triton_backend.py tests/test_named_pattern.py tests/test_public_names.py "$@"
