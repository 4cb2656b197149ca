#!/usr/bin/env bash
# Builds into build/tools the programs that the end-to-end tests, the benchmarks and the examples run beside Driftlock: an
# OpenTelemetry Collector (otelcol), a load generator that is also a sink (otelload), OpenTelemetry's telemetrygen, Helm, and
# Stripe's stripe-mock, which checks requests against the description of Stripe's API.
# The modules come from GOPROXY; Go keeps what it has fetched and compiled, so a second run takes seconds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

stripe_mock=github.com/stripe/stripe-mock@v0.203.0
helm=helm.sh/helm/v4/cmd/helm@v4.3.2
telemetrygen=github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen@v0.161.0

mkdir -p ../build/tools
GOBIN=$(cd ../build/tools && pwd)
export GOBIN CGO_ENABLED=0
options=(-trimpath -ldflags='-s -w')
go install "${options[@]}" ./otelcol ./otelload
go install "${options[@]}" "$telemetrygen"
go install "${options[@]}" "$stripe_mock"
go install "${options[@]}" "$helm"
