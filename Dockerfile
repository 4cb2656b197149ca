# syntax=docker/dockerfile:1
# docker build -t driftlock .       This compiles the addon from the sources that deps/Cargo.lock pins.
# The base images. `make pin` adds the current digests of these tags (image:tag@sha256:…), so that a later build uses the same images.
ARG NODE_IMAGE=node:24-trixie-slim
ARG DEBIAN_IMAGE=debian:trixie-slim

# hadolint ignore=DL3006
FROM ${NODE_IMAGE} AS base
WORKDIR /src
ENV SKIP_DRIFTLOCK_BUILD=1

# The running image needs no compiler and no development packages, and no type declarations or source maps of the others: half of their size.
FROM base AS dependencies
COPY .npmrc package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --loglevel=error \
 && find node_modules -type f \( -name '*.map' -o -name '*.ts' -o -name '*.[cm]ts' \) -delete

FROM base AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# The image contains the headers of Node.js, so cmake-js does not have to fetch them.
ENV npm_config_nodedir=/usr/local
# Clang compiles what computes verdicts again in browsers, on the page /verify.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates cargo cmake g++ make ninja-build \
      clang-19 lld-19 wasi-libc libc++-19-dev-wasm32 libc++abi-19-dev-wasm32 libclang-rt-19-dev-wasm32 \
 && rm -rf /var/lib/apt/lists/*
# In order of how often the parts change, so that a change compiles and fetches no more than necessary.
COPY deps ./deps
WORKDIR /src/deps
RUN cargo vendor --locked --quiet vendor > /dev/null \
 && printf %s "$(sha256sum Cargo.lock | cut -c 1-64)" > vendor/.driftlock-lock
WORKDIR /src
COPY .npmrc package.json package-lock.json ./
COPY scripts/install.cjs ./scripts/
RUN npm ci --loglevel=error && touch node_modules/.stamp
COPY . .
RUN touch node_modules/.stamp && make profile wasm build && strip --strip-unneeded build/Release/driftlock.node

# hadolint ignore=DL3006
FROM ${DEBIAN_IMAGE}
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libstdc++6 \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 driftlock \
 && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin driftlock \
 && install -d -o 10001 -g 10001 /var/lib/driftlock
COPY --from=base /usr/local/bin/node /usr/local/bin/node
WORKDIR /opt/driftlock
COPY --from=dependencies /src/node_modules ./node_modules
COPY --from=build /src/LICENSE /src/NOTICE /src/package.json ./
COPY --from=build /src/build/Release/driftlock.node ./build/Release/driftlock.node
COPY --from=build /src/dist ./dist
RUN ln -s /opt/driftlock/dist/cli/main.js /usr/local/bin/driftlock && driftlock version \
 && install -d -o 10001 -g 10001 build/compile-cache

# As a number, so that Kubernetes can verify that it is not root.
USER 10001:10001
# This keeps the compiled code, so that no start has to compile it again.
RUN driftlock run --help > /dev/null
# The addresses are those of loopback until the configuration says who may connect: see docs/guides/tls-and-auth.md.
ENV NODE_ENV=production \
    DRIFTLOCK_DATA_DIR=/var/lib/driftlock \
    DRIFTLOCK_HEALTH_ENDPOINT=127.0.0.1:13133
VOLUME /var/lib/driftlock
EXPOSE 4317 4318 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.DRIFTLOCK_HEALTH_ENDPOINT.split(':').pop()}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["driftlock"]
CMD ["run"]
