#!/usr/bin/env bash
# Updates the list of Debian packages. Test files start at the same time, and apt refuses a second update while one runs.
set -euo pipefail
exec flock "${TMPDIR:-/tmp}/driftlock-apt.lock" apt-get -qq update
