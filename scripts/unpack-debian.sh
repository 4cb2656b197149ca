#!/usr/bin/env bash
# Unpacks Debian packages into a cache and prints the folder, so that no service starts: unpack-debian.sh NAME PACKAGE... Only
# updating a stale list of packages takes privileges. Fails if this is no Debian.
set -euo pipefail
update=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/apt-update.sh
cache=${XDG_CACHE_HOME:-$HOME/.cache}/driftlock/$1
shift
command -v apt-get >/dev/null || exit 1
mkdir -p "$cache"
# The lock lets test files that start at the same time fetch only once.
exec 9>"$cache/lock"
flock 9
cd "$cache"
if [ ! -e done ]; then
  if ! apt-get -qq download "$@" >&2 2>/dev/null; then
    [ "$(id -u)" = 0 ] || exit 1
    "$update" >&2
    apt-get -qq download "$@" >&2
  fi
  for package in *.deb; do dpkg -x "$package" .; done
  touch done
fi
echo "$cache"
