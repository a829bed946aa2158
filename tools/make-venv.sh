#!/bin/sh
# make-venv.sh DIR - the Python environment of the tests: numpy, SciPy, scikit-learn, HyperSpy and so on
# as tests/requirements.txt names them. Made again only when that list changed.
set -eu
dir=${1:-.venv}
list=$(dirname "$0")/../tests/requirements.txt
if [ -f "$dir/requirements.done" ] && cmp -s "$list" "$dir/requirements.done"; then
    exit 0
fi
python=
for candidate in "${PYTHON:-}" /usr/bin/python3 python3; do
    if [ -n "$candidate" ] && "$candidate" -c '
import sys, venv, ensurepip
sys.exit(sys.version_info < (3, 9))' >/dev/null 2>&1; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "error: no Python >= 3.9 with venv found; set PYTHON=/path/to/python3" >&2
    exit 1
fi
echo "Making the tests' Python environment in $dir"
if [ ! -x "$dir/bin/python" ]; then
    "$python" -m venv "$dir"
fi
"$dir/bin/python" -m pip install -q --disable-pip-version-check -r "$list"
cp "$list" "$dir/requirements.done"
