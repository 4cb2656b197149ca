#!/usr/bin/env bash
# Runs an Alertmanager for tests in the foreground: alertmanager.sh DIR PORT. DIR has its configuration, alertmanager.yml, and
# takes its data. If none is installed, Debian's package is unpacked into a cache, so that no service starts. Its templates must
# be at their own place, for which root is needed.
set -euo pipefail
dir=$1 port=$2
cache=${XDG_CACHE_HOME:-$HOME/.cache}/driftlock/alertmanager
package=prometheus-alertmanager

fetch() (
  command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || return 1
  mkdir -p "$cache"
  # The lock lets test files that start at the same time fetch only once.
  exec 9>"$cache/lock"
  flock 9
  cd "$cache"
  if [ ! -e done ]; then
    if ! apt-get -qq download "$package" 2>/dev/null; then
      apt-get -qq update
      apt-get -qq download "$package"
    fi
    dpkg -x "$package"*.deb .
    touch done
  fi
  templates=/usr/share/prometheus/alertmanager
  if [ ! -e "$templates/default.tmpl" ]; then
    mkdir -p "$templates"
    cp -r ".$templates/." "$templates"
  fi
)

server=$(command -v prometheus-alertmanager || command -v alertmanager || true)
if [ -z "$server" ] && fetch >&2; then server=$cache/usr/bin/prometheus-alertmanager; fi
if [ -z "$server" ]; then
  echo "Alertmanager is missing: install it (Debian: apt-get install prometheus-alertmanager), or set DRIFTLOCK_SKIP_ALERTMANAGER=1 to do without" >&2
  exit 1
fi
exec "$server" --config.file="$dir/alertmanager.yml" --storage.path="$dir/data" --web.listen-address="127.0.0.1:$port" \
  --cluster.listen-address=
