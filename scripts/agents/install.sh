#!/bin/sh
# Installs the agent programs Nightshift's tests drive, at the versions pinned beside this file.
# usage: install.sh [DIR]         what every run of the tests drives
#        install.sh more [DIR]    the others of `cargo xtask agents`, in DIR-more
# DIR is ${NIGHTSHIFT_AGENTS_DIR:-${XDG_CACHE_HOME:-~/.cache}/nightshift/agents}.
#
# Prints one line per program: its name and its path. Does nothing when they are there already.
# No install script of a package runs: the programs are native, or scripts of the Node.js that is
# installed with them.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
set_name=base
if [ "${1:-}" = more ]; then
    set_name=more
    shift
fi
dir=${1:-${NIGHTSHIFT_AGENTS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/nightshift/agents}}
names="claude codex gemini node"
how=ci
if [ "$set_name" = more ]; then
    here=$here/more
    dir=$dir-more
    names="copilot opencode qwen node"
    # `ci` wants every platform's packages in the lock file, which npm does not write for all of these.
    how="install --no-save"
fi
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

# The program of that name: the one behind its package's wrapper, on this platform, or the script.
program() {
    case $1 in
        claude) set -- "$dir"/node_modules/@anthropic-ai/claude-code-*/claude ;;
        codex) set -- "$dir"/node_modules/@openai/codex-*/vendor/*/bin/codex ;;
        gemini) set -- "$dir"/node_modules/@google/gemini-cli/bundle/gemini.js ;;
        copilot) set -- "$dir"/node_modules/@github/copilot-linux*/copilot ;;
        opencode) set -- "$dir"/node_modules/opencode-linux-*/bin/opencode ;;
        qwen) set -- "$dir"/node_modules/@qwen-code/qwen-code/cli-entry.js ;;
        node) set -- "$dir"/node_modules/node-linux-*/bin/node ;;
    esac
    for file in "$@"; do
        [ ! -f "$file" ] || { echo "$file"; return; }
    done
}

complete() {
    for name in $names; do
        [ -n "$(program "$name")" ] || return 1
    done
}

exec 9>"$dir/.lock"
if command -v flock >/dev/null; then flock 9; fi

installed="$dir/installed-package-lock.json"
if ! cmp -s "$here/package-lock.json" "$installed" || ! complete; then
    command -v npm >/dev/null || {
        echo "install.sh: npm is missing; install Node.js with npm, then run this again" >&2
        exit 1
    }
    rm -f "$installed"
    cp "$here/package.json" "$here/package-lock.json" "$dir/"
    # Engine warnings are about the Node.js that npm runs on, which is not the one that is used.
    # shellcheck disable=SC2086
    (cd "$dir" && npm $how --ignore-scripts --no-audit --no-fund --omit=dev --loglevel=error >&2)
    for name in $names; do
        [ -n "$(program "$name")" ] || {
            echo "install.sh: npm installed no $name for $(uname -sm) in $dir" >&2
            exit 1
        }
    done
    cp "$here/package-lock.json" "$installed"
fi

for name in $names; do
    echo "$name $(program "$name")"
done
