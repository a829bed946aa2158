#!/bin/sh
# lint.sh BUILD - clang-tidy and cppcheck over the C sources that BUILD compiles, and the project's own checks.
set -eu
build=$1
status=0
python3 tools/check_layers.py . || status=1
cppcheck --quiet --error-exitcode=1 --enable=warning,portability --inline-suppr --std=c11 \
    --suppress=normalCheckLevelMaxBranches -Iinclude -j "${JOBS:-2}" \
    --project="$build/compile_commands.json" -i tests || status=1
git ls-files 'src/*.c' 'cli/*.c' | xargs -n 8 -P "${JOBS:-2}" clang-tidy -p "$build" --quiet \
    --checks='-*,bugprone-*,clang-analyzer-*,-bugprone-easily-swappable-parameters,-bugprone-narrowing-conversions,-bugprone-reserved-identifier,-bugprone-implicit-widening-of-multiplication-result,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling' ||
    status=1
exit $status
