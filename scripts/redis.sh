#!/usr/bin/env bash
# Runs a Redis for tests in the foreground, without persistence: redis.sh PORT [OPTION...], with options of redis-server. If
# none is installed, Debian's packages are unpacked into a cache, so that no service starts and no privileges are needed.
set -euo pipefail
port=$1
shift
cache=${XDG_CACHE_HOME:-$HOME/.cache}/driftlock/redis
packages=(redis-server redis-tools libjemalloc2 liblzf1)

fetch() (
  command -v apt-get >/dev/null || return 1
  mkdir -p "$cache"
  # The lock lets test files that start at the same time fetch only once.
  exec 9>"$cache/lock"
  flock 9
  if [ -e "$cache/done" ]; then return; fi
  cd "$cache"
  if ! apt-get -qq download "${packages[@]}" 2>/dev/null; then
    [ "$(id -u)" = 0 ] || return 1
    apt-get -qq update
    apt-get -qq download "${packages[@]}"
  fi
  for package in *.deb; do dpkg -x "$package" .; done
  touch done
)

server=$(command -v redis-server || true)
if [ -z "$server" ] && fetch >&2; then
  server=$cache/usr/bin/redis-server
  LD_LIBRARY_PATH=$(ls -d "$cache"/usr/lib/*-linux-gnu | head -n 1)
  export LD_LIBRARY_PATH
fi
if [ -z "$server" ]; then
  echo "Redis is missing: install it (Debian: apt-get install redis-server), or set DRIFTLOCK_SKIP_REDIS=1 to do without" >&2
  exit 1
fi
exec "$server" --port "$port" --bind 127.0.0.1 --save "" --appendonly no --daemonize no --maxmemory 64mb "$@"
