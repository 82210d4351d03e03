#!/bin/sh
# Installs what drives the pages in a browser, at the versions pinned beside this file.
# usage: install.sh [DIR]     (default ${XDG_CACHE_HOME:-~/.cache}/nightshift/browser)
#
# Prints the folder. Does nothing when everything is there already. The browser itself is the
# system's Chromium, which scripts/setup installs.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/nightshift/browser}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

exec 9>"$dir/.lock"
if command -v flock >/dev/null; then flock 9; fi

if ! cmp -s "$here/package.json" "$dir/installed.json"; then
    command -v npm >/dev/null || {
        echo "install.sh: npm is missing; install Node.js with npm, then run this again" >&2
        exit 1
    }
    cp "$here/package.json" "$dir/package.json"
    (cd "$dir" && npm install --ignore-scripts --no-audit --no-fund --no-package-lock --loglevel=error >&2)
    cp "$here/package.json" "$dir/installed.json"
fi
echo "$dir"
