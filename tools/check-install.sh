#!/bin/sh
# check-install.sh BUILD - installs BUILD into a scratch folder and uses what came out as a stranger would:
# a small program against pkg-config, shared and static; only um_* symbols are exported. TAP on stdout.
set -u
build=$1
here=$(cd "$(dirname "$0")" && pwd)
cc=${CC:-cc}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
number=0
status=0
ok() { # result, name
    number=$((number + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $number - $2"
    else
        echo "not ok $number - $2"
        sed 's/^/# /' "$work/log"
        status=1
    fi
}
: >"$work/log"

DESTDIR=$work/root meson install -C "$build" --no-rebuild >"$work/log" 2>&1
ok $? "installs"

pc=$(find "$work/root" -name unmix.pc | head -n 1)
installed_prefix=$(sed -n 's/^prefix=//p' "$pc")
sed -i "s|^prefix=.*|prefix=$work/root$installed_prefix|" "$pc"
libdir=$(dirname "$(dirname "$pc")")
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH

# shellcheck disable=SC2046,SC2086
$cc -std=c11 -Wall -Wextra -Werror "$here/installed_program.c" -o "$work/shared" \
    $(pkg-config --cflags --libs unmix) >"$work/log" 2>&1
ok $? "compiles against the shared library"
LD_LIBRARY_PATH=$libdir "$work/shared" >"$work/log" 2>&1
ok $? "runs with the shared library"
LD_LIBRARY_PATH=$libdir ldd "$work/shared" >"$work/log" 2>&1 && grep -q "$libdir/libunmix.so" "$work/log"
ok $? "uses the installed shared library"

nm -D --defined-only "$libdir/libunmix.so" | awk '{ print $NF }' | sed 's/@.*//' >"$work/symbols"
grep -v '^um_' "$work/symbols" >"$work/log"
test $? -eq 1 && grep -q '^um_context_create$' "$work/symbols"
ok $? "exports um_* and nothing else ($(wc -l <"$work/symbols") symbols)"

rm -f "$libdir"/libunmix.so*
# shellcheck disable=SC2046,SC2086
$cc -std=c11 -Wall -Wextra -Werror "$here/installed_program.c" -o "$work/static" \
    $(pkg-config --static --cflags --libs unmix) >"$work/log" 2>&1
ok $? "compiles against the static library"
"$work/static" >"$work/log" 2>&1
ok $? "runs with the static library"
echo "1..$number"
exit $status
