#!/bin/sh
# build.sh DIR [meson options] - configures DIR when that is needed, sets the options, and compiles.
# meson notices changed build files itself; a half-configured folder is started again.
set -eu
dir=$1
shift
log=$dir/configure.log
mkdir -p "$dir"
if [ ! -f "$dir/build.ninja" ]; then
    meson setup "$dir" "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
elif [ $# -gt 0 ]; then
    # meson writes nothing and rebuilds nothing when the options are the ones in force.
    meson configure "$dir" $(printf '%s\n' "$@" | sed 's/^--\([a-z]*\)=/-D\1=/') >"$log" 2>&1 ||
        { cat "$log" >&2; exit 1; }
fi
ninja -C "$dir" -j "${JOBS:-2}"
