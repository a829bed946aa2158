#!/bin/sh
# check-headers.sh FOLDER - every public header compiles alone, twice included, in C11 and C++17 with
# warnings as errors. CC and CXX name the compilers; TAP on stdout.
set -u
include=$1
cc=${CC:-cc}
cxx=${CXX:-c++}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
number=0
status=0
try() { # name, compiler, source suffix, options
    name=$1 compiler=$2 suffix=$3
    shift 3
    number=$((number + 1))
    if ! command -v "${compiler%% *}" >/dev/null 2>&1; then
        echo "ok $number - $name # SKIP no $compiler"
        return
    fi
    # shellcheck disable=SC2086 # a compiler may come with an option
    if $compiler "$@" -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -I "$include" \
        -fsyntax-only "$work/try.$suffix" 2>"$work/errors"; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        sed 's/^/# /' "$work/errors"
        status=1
    fi
}
for path in "$include"/unmix/*.h; do
    header=unmix/$(basename "$path")
    printf '#include "%s"\n#include "%s"\nint try_header;\n' "$header" "$header" >"$work/try.c"
    cp "$work/try.c" "$work/try.cc"
    try "$header alone in C11" "$cc" c -std=c11 -Wstrict-prototypes
    try "$header alone in C++17" "$cxx" cc -std=c++17
done
echo "1..$number"
exit $status
