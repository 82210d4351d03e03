#!/bin/sh
# Installs the agent programs Nightshift's tests drive, at the versions pinned beside this file.
# usage: install.sh [DIR]     (default ${XDG_CACHE_HOME:-~/.cache}/nightshift/agents)
#
# Prints one line per program: its name and its path. Does nothing when they are there already.
# No install script of a package runs: the programs are native and need none, nor node itself.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/nightshift/agents}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

# The program behind each package's wrapper, on this platform.
claude() {
    for file in "$dir"/node_modules/@anthropic-ai/claude-code-*/claude; do
        [ ! -x "$file" ] || { echo "$file"; return; }
    done
}
codex() {
    for file in "$dir"/node_modules/@openai/codex-*/vendor/*/bin/codex; do
        [ ! -x "$file" ] || { echo "$file"; return; }
    done
}

exec 9>"$dir/.lock"
if command -v flock >/dev/null; then flock 9; fi

installed="$dir/installed-package-lock.json"
if ! cmp -s "$here/package-lock.json" "$installed" || [ -z "$(claude)" ] || [ -z "$(codex)" ]; then
    command -v npm >/dev/null || {
        echo "install.sh: npm is missing; install Node.js with npm, then run this again" >&2
        exit 1
    }
    rm -f "$installed"
    cp "$here/package.json" "$here/package-lock.json" "$dir/"
    # Engine warnings are about the wrappers, which are not used.
    (cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund --omit=dev --loglevel=error >&2)
    for name in claude codex; do
        [ -n "$($name)" ] || {
            echo "install.sh: npm installed no native $name for $(uname -sm) in $dir" >&2
            exit 1
        }
    done
    cp "$here/package-lock.json" "$installed"
fi

echo "claude $(claude)"
echo "codex $(codex)"
