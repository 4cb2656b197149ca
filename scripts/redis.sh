#!/usr/bin/env bash
# Runs a Redis for tests in the foreground, without persistence: redis.sh PORT [OPTION...], with options of redis-server. If
# none is installed, Debian's packages are unpacked into a cache, so that no service starts and no privileges are needed.
set -euo pipefail
port=$1
shift

server=$(command -v redis-server || true)
if [ -z "$server" ] && cache=$("$(dirname "$0")/unpack-debian.sh" redis redis-server redis-tools libjemalloc2 liblzf1); then
  server=$cache/usr/bin/redis-server
  LD_LIBRARY_PATH=$(ls -d "$cache"/usr/lib/*-linux-gnu | head -n 1)
  export LD_LIBRARY_PATH
fi
if [ -z "$server" ]; then
  echo "Redis is missing: install it (Debian: apt-get install redis-server), or set DRIFTLOCK_SKIP_REDIS=1 to do without" >&2
  exit 1
fi
exec "$server" --port "$port" --bind 127.0.0.1 --save "" --appendonly no --daemonize no --maxmemory 64mb "$@"
