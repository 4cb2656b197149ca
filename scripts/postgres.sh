#!/usr/bin/env bash
# Runs a PostgreSQL for tests in the foreground: postgres.sh DIR PORT. DIR keeps its data between runs. The only
# user, driftlock, has the password in $PGPASSWORD. SIGINT stops it, and SIGQUIT stops it at once.
set -euo pipefail
dir=$1 port=$2 user=driftlock

bindir() {
  local found
  found=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
  if [ -n "$found" ] && [ -x "$found/initdb" ]; then echo "$found"; return; fi
  found=$(command -v pg_config >/dev/null && pg_config --bindir || true)
  if [ -n "$found" ] && [ -x "$found/initdb" ]; then echo "$found"; fi
}

install() {
  # Without this, the package would start a cluster of its own.
  mkdir -p /etc/postgresql-common
  [ -e /etc/postgresql-common/createcluster.conf ] ||
    echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
  "$(dirname "${BASH_SOURCE[0]}")/apt-update.sh"
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 install postgresql
}

bin=$(bindir)
if [ -z "$bin" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  install >&2
  bin=$(bindir)
fi
if [ -z "$bin" ]; then
  echo "PostgreSQL is missing: install it (Debian: apt-get install postgresql), or set DRIFTLOCK_SKIP_POSTGRES=1 to do without" >&2
  exit 1
fi

# PostgreSQL refuses to run as root.
as=()
if [ "$(id -u)" = 0 ]; then
  chown postgres "$dir"
  as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
fi
if [ ! -e "$dir/data" ]; then
  (umask 077 && echo "$PGPASSWORD" >"$dir/password")
  if [ "$(id -u)" = 0 ]; then chown postgres "$dir/password"; fi
  "${as[@]}" "$bin/initdb" --pgdata="$dir/data" --username="$user" --pwfile="$dir/password" --auth=scram-sha-256 \
    --encoding=UTF8 --locale=C.UTF-8 --no-sync >&2
fi
cd "$dir"
exec "${as[@]}" "$bin/postgres" -D "$dir/data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories="$dir" \
  -c fsync=off -c max_connections=60 -c shared_buffers=32MB -c logging_collector=off
