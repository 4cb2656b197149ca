#!/usr/bin/env bash
# Prints the folder of veraPDF's libraries for tests of documents, and sees to Java, poppler-utils and qpdf. Maven fetches the libraries.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
lib=${XDG_CACHE_HOME:-$HOME/.cache}/driftlock/verapdf-1.28.2

missing=()
command -v javac >/dev/null || missing+=(default-jdk-headless)
command -v mvn >/dev/null || missing+=(maven)
command -v pdftotext >/dev/null || missing+=(poppler-utils)
command -v qpdf >/dev/null || missing+=(qpdf)
if [ ${#missing[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  {
    "$(dirname "${BASH_SOURCE[0]}")/apt-update.sh"
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "${missing[@]}"
  } >&2
  missing=()
fi
if [ ${#missing[@]} -gt 0 ]; then
  echo "tools for PDF are missing: install them (Debian: apt-get install ${missing[*]}), or set DRIFTLOCK_SKIP_PDF=1 to do without" >&2
  exit 1
fi
mkdir -p "$lib"
exec 9>"$lib/lock"
flock 9
if [ ! -e "$lib/done" ]; then
  mvn -q -B -f "$root/tools/verapdf/pom.xml" dependency:copy-dependencies -DoutputDirectory="$lib" >&2
  touch "$lib/done"
fi
echo "$lib"
