#!/bin/sh
# Prints the socket of a container engine for the tests; starts a Podman of their own if need be.
#
# Its images and settings are apart from those of this machine's own Podman, and it ends a minute
# after it was last asked for something. NIGHTSHIFT_TEST_ENGINE names the socket of another engine,
# Docker or Podman, that the tests are to use instead; it must run as root.
set -eu

say() { printf '%s\n' "$*" >&2; }

if [ -n "${NIGHTSHIFT_TEST_ENGINE:-}" ]; then
    printf '%s\n' "$NIGHTSHIFT_TEST_ENGINE"
    exit 0
fi
if [ "$(id -u)" != 0 ]; then
    say "the tests of the container back end need an engine that runs as root. Either run them as root,"
    say "or name the socket of Docker or Podman that this user may open: NIGHTSHIFT_TEST_ENGINE=/run/docker.sock"
    exit 1
fi
for program in podman runc; do
    if ! command -v "$program" >/dev/null 2>&1; then
        say "$program is missing, which the tests of the container back end use: run scripts/setup, or install podman and runc"
        say "(or name the socket of another engine: NIGHTSHIFT_TEST_ENGINE=/run/docker.sock)"
        exit 1
    fi
done

home=/var/tmp/nightshift-test-engine
# Another number where the settings below change: an engine with the old ones may still be up.
socket=$home/podman-2.sock
mkdir -p -m 0700 "$home"
exec 9>"$home/lock"
flock 9

answers() {
    python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1])
s.sendall(b"GET /_ping HTTP/1.0\r\n\r\n"); sys.exit(b"200" not in s.recv(64))' "$socket" 2>/dev/null
}

if ! answers; then
    # Limits that are set here are within those of a machine that may not raise its own.
    cat >"$home/containers.conf" <<EOF
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
EOF
    # The tests' own registry (crates/runner/tests/loops/registry.rs) speaks plain HTTP.
    cat >"$home/registries.conf" <<EOF
[[registry]]
location = "127.0.0.1:7313"
insecure = true
EOF
    rm -f "$socket"
    # Its helpers leave files where it was started.
    cd "$home"
    CONTAINERS_CONF=$home/containers.conf CONTAINERS_REGISTRIES_CONF=$home/registries.conf setsid podman --root "$home/storage" --runroot "$home/run" \
        system service --time=60 "unix://$socket" </dev/null >"$home/log" 2>&1 9>&- &
    tries=0
    until answers; do
        tries=$((tries + 1))
        if [ "$tries" -gt 100 ]; then
            say "Podman does not answer at $socket. It said:"
            tail -n 5 "$home/log" >&2
            exit 1
        fi
        sleep 0.2
    done
fi
printf '%s\n' "$socket"
