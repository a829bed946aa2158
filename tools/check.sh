#!/usr/bin/env bash
# check.sh short|medium|long - runs the tests of a tier (docs/testing.md), a line per stage with its time, and
# ends with "N passed, N failed, N skipped" over all runners. A failing stage does not stop the others.
set -u
tier=${1:-medium}
cd "$(dirname "$0")/.." || exit 1
results=build-results
rm -rf "$results"
mkdir -p "$results"
jobs=${JOBS:-2}
venv=${VENV:-.venv}
fuzz_seconds=${FUZZ_SECONDS:-60}
if [ "$tier" = long ]; then
    fuzz_seconds=${FUZZ_SECONDS:-3600}
fi
runners=()

# stage NAME COMMAND ... - output goes to the stage's log, which is shown when it fails.
stage() {
    local name=$1 start=$SECONDS status=0
    shift
    printf '%-34s ' "$name"
    "$@" >"$results/$name.log" 2>&1 || status=$?
    printf '%s %4d s\n' "$([ "$status" -eq 0 ] && echo ok || echo FAILED)" $((SECONDS - start))
    if [ "$status" -ne 0 ]; then
        tail -n "${CHECK_TAIL:-60}" "$results/$name.log" | sed 's/^/    | /'
    fi
    return "$status"
}

# A stage that is itself one check: its outcome is counted as a test.
check() {
    local name=$1
    shift
    mkdir -p "$results/checks"
    if stage "$name" "$@"; then
        echo "ok - $name" >>"$results/checks/checks.tap"
    else
        echo "not ok - $name" >>"$results/checks/checks.tap"
        return 1
    fi
}

# units NAME BUILD [meson test options] - unit tests and source checks by meson.
units() {
    local name=$1 build=$2
    shift 2
    runners+=("$name=$results/$name")
    stage "$name" meson test -C "$build" --no-rebuild --num-processes "$jobs" --logbase "testlog-$name" \
        --print-errorlogs "$@"
    mkdir -p "$results/$name"
    cp "$build"/meson-logs/testlog-"$name"* "$results/$name/"
}

# python NAME UNMIX PATHS [pytest options]
python() {
    local name=$1 unmix=$2
    shift 2
    runners+=("$name=$results/$name")
    UNMIX=$unmix stage "$name" "$venv/bin/python" -m pytest -q -p no:cacheprovider -n "$jobs" --dist loadfile -rs \
        --junit-xml "$results/$name/results.xml" "$@"
}

here=$PWD
check gcc-build tools/build.sh build-check --buildtype=release -Ddebug=true -Dwerror=true || exit 1
units units build-check
if compgen -G 'tests/cli/test_*.py' >/dev/null; then
    python command-line "$here/build-check/unmix" tests/cli -m 'not long'
fi

if [ "$tier" != short ]; then
    if compgen -G 'tests/oracle/test_*.py' >/dev/null; then
        python oracles "$here/build-check/unmix" tests/oracle -m 'not long'
        sed -n 's/^scores: /    /p' "$results/oracles.log"
    fi
    slow=(--no-suite slow-in-valgrind)
    checked=(--no-suite slow-when-checked)
    if [ "$tier" = long ]; then
        slow=()
        checked=()
    fi
    units valgrind build-check --suite unit "${slow[@]}" --timeout-multiplier 20 --wrapper \
        "valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite --suppressions=$here/tests/valgrind.supp"

    export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=99
    export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:exitcode=99
    export LSAN_OPTIONS=suppressions=$here/tests/lsan.supp:print_suppressions=0
    if check sanitizer-build tools/build.sh build-sanitize -Db_sanitize=address,undefined \
        -Db_lundef=false -Doptimization=1 -Ddebug=true; then
        units units-sanitized build-sanitize --suite unit "${checked[@]}" --timeout-multiplier 5
        if compgen -G 'tests/cli/test_*.py' >/dev/null; then
            # Demo and benchmark only run, minutes long under instrumentation, what other tests run on less.
            python command-line-sanitized "$here/build-sanitize/unmix" tests/cli -m 'not long' \
                --ignore tests/cli/test_demo.py --ignore tests/cli/test_bench.py
        fi
    fi
    # Counting lines makes the solver twenty times slower, so it has a build of its own and leaves out what iterates.
    if check coverage-build tools/build.sh build-coverage -Db_coverage=true -Doptimization=1 -Ddebug=true; then
        find build-coverage -name '*.gcda' -delete
        units units-counted build-coverage --suite unit "${checked[@]}" --timeout-multiplier 5
        if compgen -G 'tests/cli/test_*.py' >/dev/null; then
            python command-line-counted "$here/build-coverage/unmix" tests/cli -m 'not long and not heavy' \
                --ignore tests/cli/test_demo.py --ignore tests/cli/test_bench.py
        fi
        check coverage tools/coverage.sh build-coverage 85
        sed -n 's/^lines: /line coverage of src\/: /p' "$results/coverage.log"
    fi
    if [ -f tests/fuzz/meson.build ]; then
        if CC=clang check clang-build tools/build.sh build-fuzz -Db_sanitize=address,undefined \
            -Db_lundef=false -Doptimization=1 -Ddebug=true -Dfuzz=true -Dtests=false -Dwerror=true; then
            runners+=("fuzz=$results/fuzz")
            mkdir -p "$results/fuzz"
            stage fuzz tools/fuzz.sh build-fuzz "$fuzz_seconds" "$results/fuzz"
        fi
    fi
fi
if [ "$tier" = long ] && compgen -G 'tests/oracle/test_*.py' >/dev/null; then
    python long "$here/build-check/unmix" tests -m long
fi

runners+=("checks=$results/checks")
echo
exec python3 tools/count_results.py "${runners[@]}"
