#!/bin/sh
# lint.sh BUILD - clang-tidy and cppcheck over the C sources that BUILD compiles, and the project's own checks.
# Left out, each because it was wrong wherever it spoke here: rows of an index by integer division, casts of
# products to print them, va_list across calls (clang 14), arrays filled by loops (cppcheck; clang follows them).
set -eu
build=$1
status=0
python3 tools/check_layers.py . || status=1
cppcheck --quiet --error-exitcode=1 --enable=warning,portability --inline-suppr --std=c11 \
    --suppress=normalCheckLevelMaxBranches --suppress=uninitvar --suppress=legacyUninitvar \
    --suppress=unknownMacro --suppress='*:/usr/include/*' -Iinclude -j "${JOBS:-2}" \
    --project="$build/compile_commands.json" -i tests || status=1
checks='-*,bugprone-*,clang-analyzer-*'
for off in bugprone-easily-swappable-parameters bugprone-narrowing-conversions bugprone-reserved-identifier \
    bugprone-implicit-widening-of-multiplication-result bugprone-integer-division bugprone-misplaced-widening-cast \
    clang-analyzer-valist.Uninitialized \
    clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling; do
    checks="$checks,-$off"
done
git ls-files 'src/*.c' 'cli/*.c' | xargs -n 8 -P "${JOBS:-2}" clang-tidy -p "$build" --quiet \
    --warnings-as-errors='*' --checks="$checks" || status=1
exit $status
