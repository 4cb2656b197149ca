# Everything sets up what it needs; a second run does no work twice.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

# npm scripts and the programs they start run on the Node that the lock file pins, whatever the machine's own is.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
# Our own install script would build the addon; here the rules below do.
export SKIP_DRIFTLOCK_BUILD := 1

ADDON := build/Release/driftlock.node
PROTO := $(shell find proto -name '*.proto')
CXX_SOURCES := $(shell find native -name '*.[ch]pp')
SOURCES := $(shell find src -path src/gen -prune -o -name '*.ts' -print)
# The dashboard shares small tools with the rest, and verifies bundles.
UI_SOURCES := $(shell find ui src/anomaly src/base src/evidence src/incidents src/json src/verify -type f)
CLANGXX ?= $(shell command -v clang++ clang++-19 clang++-18 clang++-17 clang++-16 clang++-15 clang++-14 | head -n 1)
WASI_CLANGXX ?= $(shell command -v clang++-19 clang++-18 clang++-17 clang++-16 | head -n 1)
# What computes verdicts again in browsers is built where there is a compiler for it.
WASM := build/wasm/driftlock-verify.wasm
HAS_WASI := $(and $(WASI_CLANGXX),$(wildcard /usr/include/wasm32-wasi/c++/v1/vector))
FUZZ_SECONDS ?= 150
NATIVE_COVERAGE ?= 80
# Which build of the native tests runs: `sanitized` takes any compiler; `clang` counts lines as well, and shares its objects
# with the fuzzers.
NATIVE ?= sanitized
export OTLP_DUMP := build/$(NATIVE)/otlp_dump
# Programs of that build write no profile unless a rule asks for one.
export LLVM_PROFILE_FILE := /dev/null
# In a recipe: the folder of the profile, if one has been recorded.
PROFILE = $$(test ! -e build/profile/.stamp || echo $(CURDIR)/build/profile)
STORE ?= sqlite

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s $$'\t'

.PHONY: run
run: build ## run the sidecar under a demo load (ARGS="--receive.grpc.endpoint 127.0.0.1:5317")
	@node scripts/demo.ts $(ARGS)

.PHONY: build
build: $(ADDON) dist/.stamp dist/ui/.stamp dist/driftlock-verify.mjs ## build the addon, the TypeScript and the dashboard

.PHONY: profile
profile: build/profile/.stamp ## record what the engine runs most; the addon is compiled for that from then on, and a fifth faster

.PHONY: wasm
wasm: $(WASM) ## build driftlock-verify.wasm, which computes verdicts again in browsers (needs clang for wasm32-wasi)
	@echo "$(WASM): $$(wc -c < $(WASM)) bytes, $$(gzip -9c $(WASM) | wc -c) compressed"

$(WASM): $(ADDON)
	@test -n "$(WASI_CLANGXX)" || { echo "clang++ for wasm32-wasi is missing (Debian: apt-get install clang-16 lld-16 wasi-libc" \
	  "libc++-16-dev-wasm32 libc++abi-16-dev-wasm32 libclang-rt-16-dev-wasm32)" >&2; exit 1; }
	@cmake -S native/wasm -B build/wasm $(shell command -v ninja > /dev/null && echo -G Ninja) -DCMAKE_C_COMPILER=$(subst clang++,clang,$(WASI_CLANGXX)) \
	  -DCMAKE_CXX_COMPILER=$(WASI_CLANGXX) > /dev/null
	@cmake --build build/wasm --parallel 2 > build/wasm/build.log 2>&1 || { cat build/wasm/build.log; exit 1; }

.PHONY: ui-dev
ui-dev: node_modules/.stamp ## serve the dashboard for work on it, with the API at DRIFTLOCK_URL (http://127.0.0.1:8080)
	vite ui

.PHONY: test
test: build test-native ## run all tests except the end-to-end tests
	vitest run --coverage

.PHONY: test-native
test-native: build/$(NATIVE)/tests ## run the native tests under address and undefined-behaviour sanitizers
	@rm -f build/$(NATIVE)/*.profraw
	LLVM_PROFILE_FILE=$(CURDIR)/build/$(NATIVE)/%p.profraw ctest --test-dir build/$(NATIVE) --output-on-failure --parallel 2

.PHONY: golden
golden: build ## write test/golden/expected anew, after a change that is meant to alter it
	GOLDEN=renew vitest run test/golden

.PHONY: coverage-native
coverage-native: ## measure the line coverage of native/cbad and native/channels; fail below NATIVE_COVERAGE (80) percent
	@$(MAKE) test-native NATIVE=clang
	@$(MAKE) coverage-report

.PHONY: coverage-report
coverage-report: # of the latest test-native with NATIVE=clang
	scripts/coverage-native.sh build/clang $(NATIVE_COVERAGE) native/cbad native/channels

.PHONY: test-e2e
test-e2e: build ## run the tests with a real OpenTelemetry Collector and a real Helm (needs Go)
	@if command -v go > /dev/null; then tools/build.sh && cd tools && go test -count=1 ./otelload ./compose ./chart; fi
	vitest run --config vitest.e2e.config.ts

.PHONY: test-api
test-api: src/gen/.stamp $(ADDON) ## run schemathesis against the API with STORE=sqlite or postgres (needs Python)
	node test/schemathesis/run.ts $(STORE) $(ARGS)

.PHONY: fuzz
fuzz: build/clang/fuzzers build ## fuzz what reads OTLP, OTLP/JSON, events, snapshots, recordings and personal values, for FUZZ_SECONDS (150) in all
	@targets=(build/clang/*_fuzz); tests=(test/receive/fuzz.test.ts test/api/ingest-fuzz.test.ts); \
	each=$$(( $(FUZZ_SECONDS) / ($${#targets[@]} + $${#tests[@]}) )); \
	for target in "$${targets[@]}"; do \
	  name=$$(basename $$target _fuzz); mkdir -p build/fuzz/corpus/$$name; \
	  $$target -max_total_time=$$each -print_final_stats=1 -max_len=4096 -len_control=0 build/fuzz/corpus/$$name native/fuzz/corpus/$$name; \
	done; \
	DRIFTLOCK_FUZZ_SECONDS=$$each vitest run --no-file-parallelism "$${tests[@]}"

.PHONY: bench
bench: profile build build/bench/.stamp ## measure the numbers of docs/guides/sizing.md
	node bench/run.ts

.PHONY: bench-soak
bench-soak: build ## run with a downstream that comes and goes; check counts and memory (ARGS="--minutes 10")
	node bench/soak.ts $(ARGS)

.PHONY: bench-hostile
bench-hostile: build ## run honest senders beside hostile ones; check throughput, probes and memory (ARGS="--minutes 10")
	node bench/hostile.ts $(ARGS)

.PHONY: bench-kafka
bench-kafka: profile build ## measure what a second worker brings, and what a take-over costs, on a real broker (ARGS="--seconds 60 --rounds 3")
	node bench/kafka.ts $(ARGS)

.PHONY: bench-quality
bench-quality: build ## measure how well labelled anomalies are found, for docs/QUALITY.md
	node bench/quality/run.ts

.PHONY: bench-llm
bench-llm: build ## measure what is found in calls of language models: planted faults (SEEDS=50), and injected tool calls
	node bench/llm/run.ts

.PHONY: bench-privacy
bench-privacy: profile build build/bench/.stamp ## measure how well personal and secret values are found, and what that costs
	node bench/privacy.ts

.PHONY: bench-sdk
bench-sdk: profile build ## measure what the SDK costs a Node.js service
	node bench/sdk.ts

.PHONY: bench-incidents
bench-incidents: build ## measure how well faults become incidents, and how well their causes are ranked
	node bench/incidents/run.ts

.PHONY: bench-evidence
bench-evidence: profile build ## measure whether making 1,000 bundles of evidence slows down ingest (needs Go)
	node bench/evidence.ts $(ARGS)

.PHONY: bench-dashboard
bench-dashboard: profile build ## measure the dashboard in Chromium: first paint, scrolling, and the API with 100,000 anomalies
	node bench/dashboard.ts

.PHONY: lint
lint: src/gen/.stamp ## check types and style
	tsc --noEmit -p tsconfig.json
	tsc --noEmit -p ui/tsconfig.json
	biome check .
	buf lint
	@clang-format --dry-run --Werror $(CXX_SOURCES)
	@node scripts/native-names.ts $(CXX_SOURCES)

.PHONY: docs
docs: src/gen/.stamp ## write the generated pages of docs/reference/ and the Grafana dashboard
	node scripts/reference.ts

.PHONY: fmt
fmt: node_modules/.stamp ## format the code
	biome check --write .
	@clang-format -i $(CXX_SOURCES)

.PHONY: prebuild
prebuild: profile $(ADDON) ## build the addon for this platform into prebuilds/ (ARGS="--tag-libc")
	prebuildify --napi --strip $(ARGS) --node-gyp true # which has nothing left to do

.PHONY: prebuilds
prebuilds: node_modules/.stamp $(if $(CLANGXX),build/profile-clang/.stamp) ## cross-compile the addon for Linux into prebuilds/ (PLATFORMS="linux-arm64.glibc"; needs Python)
	scripts/prebuilds.sh $(PLATFORMS)

.PHONY: release
release: prebuild build ## build the npm packages into release/ and try them, with SBOM and provenance
	vitest run test/golden
	rm -rf release && mkdir release
	npm pack --silent --pack-destination release > /dev/null
	scripts/try-package.sh release/*.tgz
	node scripts/attest.ts release/*.tgz
	@$(if $(HAS_WASI),node scripts/standalone.ts release,echo "driftlock-verify is not in the release: \`make wasm\` says which compiler is missing" >&2)

.PHONY: docker
docker: ## build the container image
	docker build -t driftlock:$$(node -p 'require("./package.json").version') .

.PHONY: pin
pin: ## pin the Dockerfile's base images to their current digests (needs docker with buildx, and network access)
	scripts/pin-images.sh Dockerfile

.PHONY: ci-check
ci-check: ## run what CI runs
	.ci/run

.PHONY: clean
clean: ## remove what was built, but not what was fetched
	rm -rf build dist coverage prebuilds release src/gen

# npm runs on the Node that the lock file pins: it leaves out, without a word, optional packages that need a later Node
# than its own.
node_modules/.stamp: package.json package-lock.json
	@scripts/require.sh
	npm exec --yes --package=node@$$(node -p 'require("./package-lock.json").packages["node_modules/node"].version') -- npm ci --loglevel=error
	@touch $@

src/gen/.stamp: $(PROTO) buf.gen.yaml buf.yaml node_modules/.stamp
	buf generate
	@touch $@

# CMake knows what has changed; it is asked each time, which takes a second.
.PHONY: $(ADDON)
$(ADDON): node_modules/.stamp build/CMakeCache.txt
	@{ cmake -S . -B build -DDRIFTLOCK_PROFILE=$(PROFILE) && cmake --build build --parallel 2; } > build.log 2>&1 || { cat build.log; exit 1; }

# Only the first time, since cmake-js insists on Ninja where it has been installed since.
build/CMakeCache.txt: | node_modules/.stamp
	@cmake-js configure --out build > build.log 2>&1 || { cat build.log; exit 1; }

# It is recorded anew when the sources have changed and someone asks for it: functions that it does not know are compiled without it.
build/profile/.stamp build/profile-clang/.stamp: $(CXX_SOURCES) cmake/profile.cmake scripts/profile.sh scripts/training-load.ts src/gen/.stamp | build/CMakeCache.txt
	@cmake --build build --parallel 2 --target driftlock_deps > build.log 2>&1 || { cat build.log; exit 1; }
	scripts/profile.sh $(@D) -DDRIFTLOCK_DEPS_LIBRARY=$(CURDIR)/build/libdriftlock_deps.a \
	  $(if $(findstring clang,$(@D)),-DCMAKE_CXX_COMPILER=$(CLANGXX))
	@touch $@

dist/.stamp: $(SOURCES) src/gen/.stamp tsconfig.json tsconfig.build.json scripts/pack-cli.ts scripts/templates.ts
	@mkdir -p dist
	find dist -mindepth 1 -maxdepth 1 ! -name ui -exec rm -rf {} +
	tsc -p tsconfig.build.json
	cp -r src/gen dist/gen
	node scripts/templates.ts
	node scripts/pack-cli.ts
	chmod +x dist/cli/main.js
	@ln -sf ../../dist/cli/main.js node_modules/.bin/driftlock
	@touch $@

dist/ui/.stamp: $(UI_SOURCES) src/gen/.stamp $(if $(HAS_WASI),$(WASM))
	vite build ui --logLevel warn
	@touch $@

# Without a compiler for WebAssembly it is made all the same, and computes no verdict again.
dist/driftlock-verify.mjs: dist/.stamp scripts/standalone.ts NOTICE $(if $(HAS_WASI),$(WASM))
	node scripts/standalone.ts

# Only our own code is sanitized: the codecs are taken from the addon's build.
build/sanitized/tests: $(ADDON) FORCE
	@cmake -S . -B build/sanitized $(shell command -v ninja > /dev/null && echo -G Ninja) -DCMAKE_BUILD_TYPE=RelWithDebInfo -DDRIFTLOCK_ADDON=OFF \
	  -DDRIFTLOCK_TESTS=ON -DDRIFTLOCK_SANITIZE=address,undefined -DDRIFTLOCK_DEPS_LIBRARY=$(CURDIR)/build/libdriftlock_deps.a > /dev/null
	@cmake --build build/sanitized --parallel 2 > build/sanitized/build.log 2>&1 || { cat build/sanitized/build.log; exit 1; }

build/clang/tests build/clang/fuzzers: build/clang/.configured
	@cmake --build build/clang --parallel 2 --target driftlock_$(@F) > build/clang/build.log 2>&1 || { cat build/clang/build.log; exit 1; }

build/clang/.configured: $(ADDON) FORCE
	@test -n "$(CLANGXX)" || { echo "clang++ is missing: install it with llvm-cov and its runtime (Debian: apt-get install clang llvm libclang-rt-14-dev)" >&2; exit 1; }
	@cmake -S . -B build/clang $(shell command -v ninja > /dev/null && echo -G Ninja) -DCMAKE_BUILD_TYPE=RelWithDebInfo -DDRIFTLOCK_ADDON=OFF \
	  -DCMAKE_CXX_COMPILER=$(CLANGXX) -DDRIFTLOCK_TESTS=ON -DDRIFTLOCK_COVERAGE=ON -DDRIFTLOCK_FUZZ=ON -DDRIFTLOCK_SANITIZE=address,undefined \
	  -DDRIFTLOCK_DEPS_LIBRARY=$(CURDIR)/build/libdriftlock_deps.a > /dev/null

build/bench/.stamp: $(ADDON) FORCE
	@cmake -S . -B build/bench $(shell command -v ninja > /dev/null && echo -G Ninja) -DCMAKE_BUILD_TYPE=Release -DDRIFTLOCK_ADDON=OFF \
	  -DDRIFTLOCK_BENCH=ON -DDRIFTLOCK_PROFILE=$(PROFILE) -DDRIFTLOCK_DEPS_LIBRARY=$(CURDIR)/build/libdriftlock_deps.a > /dev/null
	@cmake --build build/bench --parallel 2 > build/bench/build.log 2>&1 || { cat build/bench/build.log; exit 1; }

.PHONY: FORCE
FORCE:
