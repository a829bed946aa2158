#!/bin/sh
# coverage.sh BUILD PERCENT - line coverage of src/ as the tests run so far in BUILD left it; fails below PERCENT.
set -eu
gcovr --root . --object-directory "$1" --filter 'src/' --exclude-unreachable-branches \
    --gcov-ignore-parse-errors --print-summary --sort-percentage --fail-under-line "$2" "$1"
