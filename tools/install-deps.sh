#!/bin/sh
# install-deps.sh build|test|develop ... - installs the Debian packages of these lists that are missing.
# Asks dpkg first, so that nothing happens, and no privilege is needed, when all is there.
set -eu

build='gcc libc6-dev make pkg-config python3 meson ninja-build
libhdf5-dev libblosc-dev liblz4-dev libzstd-dev libdeflate-dev zlib1g-dev libzip-dev
libtiff-dev libpng-dev libjansson-dev libinih-dev libkissfft-dev librandom123-dev libsymspg-dev libxrl-dev
liblapacke-dev libblis-serial-dev'
test='g++ clang libclang-rt-14-dev llvm libcmocka-dev libbz2-dev valgrind gcovr time
python3-venv python3-hyperspy'
develop='clang-format clang-tidy cppcheck'

if [ $# -eq 0 ]; then
    echo "usage: $0 build|test|develop ..." >&2
    exit 2
fi
wanted=
for list in "$@"; do
    case $list in
    build) wanted="$wanted $build" ;;
    test) wanted="$wanted $test" ;;
    develop) wanted="$wanted $develop" ;;
    *)
        echo "$0: no list named '$list'" >&2
        exit 2
        ;;
    esac
done

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "note: this is not a Debian system; if something is missing below, install the equivalents of:" \
        $wanted >&2
    exit 0
fi

# shellcheck disable=SC2086 # the lists are words
here=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null |
    sed -n 's/^installed //p')
missing=
for package in $wanted; do
    if ! printf '%s\n' "$here" | grep -qxF "$package"; then
        missing="$missing $package"
    fi
done
if [ -z "$missing" ]; then
    exit 0
fi

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null 2>&1; then
        as_root=sudo
    else
        echo "error: packages are missing and neither root nor sudo is at hand; run as root:" \
            "apt-get install$missing" >&2
        exit 1
    fi
fi
echo "Installing with apt:$missing"
apt() {
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}
# shellcheck disable=SC2086
if ! { apt update && apt install --no-install-recommends $missing; } >/tmp/unmix-apt.$$ 2>&1; then
    tail -n 20 /tmp/unmix-apt.$$ >&2
    rm -f /tmp/unmix-apt.$$
    echo "error: apt could not install:$missing" >&2
    exit 1
fi
rm -f /tmp/unmix-apt.$$
