#!/usr/bin/env bash
# Builds into build/tools the programs that the end-to-end tests, the benchmarks and the examples run beside Driftlock: an
# OpenTelemetry Collector (otelcol), a load generator that is also a sink (otelload), and OpenTelemetry's telemetrygen.
# The modules come from GOPROXY; Go keeps what it has fetched and compiled, so a second run takes seconds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

telemetrygen=github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen@v0.161.0

mkdir -p ../build/tools
GOBIN=$(cd ../build/tools && pwd)
export GOBIN CGO_ENABLED=0
options=(-trimpath -ldflags='-s -w')
go install "${options[@]}" ./otelcol ./otelload
go install "${options[@]}" "$telemetrygen"
