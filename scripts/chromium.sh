#!/usr/bin/env bash
# Prints the path of a Chromium for tests. If there is none, Debian's package is installed, with a font.
set -euo pipefail

find_it() { command -v chromium || command -v chromium-browser || command -v google-chrome || true; }

browser=$(find_it)
if [ -z "$browser" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  {
    "$(dirname "${BASH_SOURCE[0]}")/apt-update.sh"
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends chromium fonts-dejavu-core
  } >&2
  browser=$(find_it)
fi
if [ -z "$browser" ]; then
  echo "Chromium is missing: install it (Debian: apt-get install chromium fonts-dejavu-core), or set DRIFTLOCK_SKIP_CHROMIUM=1 to do without" >&2
  exit 1
fi
echo "$browser"
