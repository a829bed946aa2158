#!/usr/bin/env bash
# fuzz.sh BUILD SECONDS [RESULTS] - runs every fuzz target of BUILD for its share of SECONDS on all cores, from
# seeds that tests/fuzz/seeds.py writes; inputs found on the way stay in BUILD/corpus. A crash, a leak, a hang
# of 10 s or 1 GiB of memory is a finding: the input is kept in BUILD/findings and the status is 1.
set -u
build=$1
seconds=$2
results=${3:-$build}
cd "$(dirname "$0")/.." || exit 1
corpus=$build/corpus
findings=$build/findings
mkdir -p "$corpus" "$findings" "$results"
"${VENV:-.venv}/bin/python" tests/fuzz/seeds.py "$corpus" || exit 1
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}:allocator_may_return_null=1:handle_abort=1
export LSAN_OPTIONS=suppressions=$PWD/tests/fuzz/lsan.supp:print_suppressions=0

mapfile -t targets < <(find "$build/tests/fuzz" -maxdepth 1 -name 'fuzz_*' -type f -executable | sort)
if [ "${#targets[@]}" -eq 0 ]; then
    echo "fuzz: $build has no targets" >&2
    exit 1
fi
jobs=${JOBS:-2}
share=$((seconds * jobs / ${#targets[@]}))
[ "$share" -ge 1 ] || share=1

run_one() { # target: TAP line
    local name=${1##*/fuzz_} status=0
    "$1" -max_total_time="$share" -timeout=10 -rss_limit_mb=1024 -max_len=65536 -print_final_stats=1 \
        -artifact_prefix="$findings/$name-" "$corpus/$name" >"$results/$name.log" 2>&1 || status=$?
    local runs
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$results/$name.log")
    if [ "$status" -eq 0 ] && [ "${runs:-0}" -gt 0 ]; then
        echo "ok - fuzz $name ($runs inputs in $share s)"
    else
        echo "not ok - fuzz $name (status $status; $results/$name.log)"
        grep -E 'ERROR|SUMMARY|promised|Test unit written|#[0-9]+ .*unmix|#[0-9]+ .*src/' "$results/$name.log" |
            head -n 20 | sed 's/^/# /'
    fi
}
export -f run_one
export share findings corpus results
printf '%s\0' "${targets[@]}" | xargs -0 -n 1 -P "$jobs" bash -c 'run_one "$1"' run_one |
    tee "$results/fuzz.tap"
! grep -q '^not ok' "$results/fuzz.tap"
