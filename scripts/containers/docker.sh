#!/bin/sh
# Runs a command with a Docker of its own, whose socket NIGHTSHIFT_TEST_ENGINE names to the tests:
#
#   scripts/containers/docker.sh cargo nextest run --workspace -E 'test(/container/) or binary(images)'
#
# The daemon opens no network, and ends with the command; what it kept below /var/tmp goes as well. Where no
# Docker can be started, it says why and ends with 0: the command has not run.
set -eu

say() { printf 'docker.sh: %s\n' "$*" >&2; }
skip() { say "not run on Docker: $*"; exit 0; }

[ $# -gt 0 ] || { say "usage: docker.sh COMMAND ..."; exit 64; }
[ -z "${NIGHTSHIFT_TEST_ENGINE:-}" ] || skip "NIGHTSHIFT_TEST_ENGINE names the engine of the tests already"
[ "$(id -u)" = 0 ] || skip "its daemon is started as root"
for program in dockerd containerd runc; do
    command -v "$program" >/dev/null 2>&1 || skip "$program is missing (Debian has it in docker.io)"
done

home=/var/tmp/nightshift-test-docker
socket=$home/docker.sock
mkdir -p -m 0700 "$home"
exec 9>"$home/lock"
flock 9

daemon=
finish() {
    code=$?
    trap - EXIT INT TERM
    if [ -n "$daemon" ]; then
        kill "$daemon" 2>/dev/null || true
        wait "$daemon" 2>/dev/null || true
        rm -rf "$home/data" "$home/exec"
    fi
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# One that was left by a killed run of this script.
if old=$(cat "$home/pid" 2>/dev/null) && grep -qs "$home" "/proc/$old/cmdline"; then
    kill "$old" 2>/dev/null || true
    while grep -qs "$home" "/proc/$old/cmdline"; do sleep 0.2; done
fi
rm -f "$socket" "$home/pid"
# A namespace of its own, in case containerd is the system's.
dockerd --host "unix://$socket" --data-root "$home/data" --exec-root "$home/exec" --pidfile "$home/pid" \
    --containerd-namespace nightshift-test --containerd-plugins-namespace nightshift-test-plugins \
    --bridge none --iptables=false --ip6tables=false </dev/null >"$home/log" 2>&1 9>&- &
daemon=$!

answers() {
    python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1])
s.sendall(b"GET /_ping HTTP/1.0\r\n\r\n"); sys.exit(b"200" not in s.recv(64))' "$socket" 2>/dev/null
}
tries=0
until answers; do
    tries=$((tries + 1))
    if [ "$tries" -gt 150 ] || ! kill -0 "$daemon" 2>/dev/null; then
        tail -n 3 "$home/log" >&2
        skip "its daemon does not start here (its last lines are above)"
    fi
    sleep 0.2
done

NIGHTSHIFT_TEST_ENGINE=$socket "$@" 9>&-
