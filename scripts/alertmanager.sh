#!/usr/bin/env bash
# Runs an Alertmanager for tests in the foreground: alertmanager.sh DIR PORT. DIR has its configuration, alertmanager.yml, and
# takes its data. If none is installed, Debian's package is unpacked into a cache, so that no service starts. Its templates must
# be at their own place, for which root is needed.
set -euo pipefail
dir=$1 port=$2

fetch() {
  [ "$(id -u)" = 0 ] && cache=$("$(dirname "$0")/unpack-debian.sh" alertmanager prometheus-alertmanager) || return 1
  local templates=/usr/share/prometheus/alertmanager
  if [ ! -e "$templates/default.tmpl" ]; then
    mkdir -p "$templates"
    cp -r "$cache$templates/." "$templates"
  fi
}

server=$(command -v prometheus-alertmanager || command -v alertmanager || true)
if [ -z "$server" ] && fetch; then server=$cache/usr/bin/prometheus-alertmanager; fi
if [ -z "$server" ]; then
  echo "Alertmanager is missing: install it (Debian: apt-get install prometheus-alertmanager), or set DRIFTLOCK_SKIP_ALERTMANAGER=1 to do without" >&2
  exit 1
fi
exec "$server" --config.file="$dir/alertmanager.yml" --storage.path="$dir/data" --web.listen-address="127.0.0.1:$port" \
  --cluster.listen-address=
