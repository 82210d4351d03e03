#!/bin/sh
# Fetches the published source of the library that the tests work on, pinned beside this file.
# usage: fetch.sh [DIR]
#
# Keeps the archive in ${XDG_CACHE_HOME:-~/.cache}/nightshift/library; pip checks its hash when it
# is fetched, and it is checked again each time it is used. With DIR, which must not be there, the
# source is unpacked into it.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/nightshift/library
name=Markdown-3.3.6.tar.gz
mkdir -p "$cache"

exec 9>"$cache/.lock"
if command -v flock >/dev/null; then flock 9; fi

hash=$(sed -n 's/.*--hash=sha256:\([0-9a-f]*\).*/\1/p' "$here/requirements.txt")
good() { echo "$hash  $cache/$name" | sha256sum --check --status 2>/dev/null; }

if ! good; then
    python3 -m pip --version >/dev/null 2>&1 || {
        echo "fetch.sh: pip is missing; install the package python3-pip, then run this again" >&2
        exit 1
    }
    rm -f "$cache/$name"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: \
        --require-hashes --requirement "$here/requirements.txt" --dest "$cache" >&2
    good || { echo "fetch.sh: pip brought no $name that has the hash of requirements.txt" >&2; exit 1; }
fi

if [ $# -gt 0 ]; then
    mkdir "$1"
    tar -xzf "$cache/$name" -C "$1" --strip-components=1 --no-same-owner
fi
