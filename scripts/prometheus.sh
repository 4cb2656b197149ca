#!/usr/bin/env bash
# Runs a program of Prometheus for tests in the foreground: prometheus.sh prometheus|promtool ARGUMENT... If it is not
# installed, Debian's package is unpacked into a cache.
set -euo pipefail
name=$1
shift
program=$(command -v "$name" || true)
if [ -z "$program" ] && cache=$("$(dirname "$0")/unpack-debian.sh" prometheus prometheus); then program=$cache/usr/bin/$name; fi
if [ -z "$program" ]; then
  echo "$name is missing: install it (Debian: apt-get install prometheus), or set DRIFTLOCK_SKIP_PROMETHEUS=1 to do without" >&2
  exit 1
fi
exec "$program" "$@"
