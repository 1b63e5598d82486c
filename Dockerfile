# Two stages: a toolchain with headers builds the executable; a slim system has the libraries that it links or loads.

# The digest that a reproducible build needs belongs behind each tag: swift:6.3-bookworm@sha256:...
FROM swift:6.3-bookworm AS build

RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates git pkg-config \
        libbson-dev libhiredis-dev libmaxminddb-dev libmongoc-dev librabbitmq-dev libsimdjson-dev libsqlite3-dev zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src

# The manifest names the test targets, so their folders must exist although no test is built.
COPY Package.* ./
COPY Sources Sources
COPY Tests Tests

# Swift's own libraries are linked statically, so the runtime stage needs no Swift. The cache keeps checkouts and build products
# between image builds: compiling the dependencies takes minutes, the service alone seconds.
RUN --mount=type=cache,target=/src/.build,sharing=locked \
    swift build -c release --product analytics --static-swift-stdlib \
    && mkdir /out \
    && cp .build/release/analytics /out/ \
    && find -L .build/release -maxdepth 1 -name '*.resources' -exec cp -r {} /out/ \; \
    && strip --strip-debug /out/analytics \
    && ! ldd /out/analytics | grep 'not found'


FROM debian:12.8-slim

RUN apt-get update \
    && apt-get upgrade -y \
    && apt-get install -y --no-install-recommends \
        ca-certificates libbson-1.0-0 libhiredis0.14 libmaxminddb0 libmongoc-1.0-0 librabbitmq4 libsimdjson14 libsqlite3-0 libstdc++6 \
        tzdata zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /data --no-create-home --shell /usr/sbin/nologin analytics \
    && install -d -o analytics -g analytics -m 750 /data \
    # A volume here takes these permissions: in Compose another user writes the keys, each file for its owner alone.
    && install -d -m 1777 /keys

COPY --from=build /out/ /usr/local/bin/

# If a library is missing, the build fails here, not the first start. MongoDB's driver and libmaxminddb are loaded on demand.
RUN analytics --help >/dev/null \
    && ldconfig -p | grep -q 'libmongoc-1\.0\.so\.0' \
    && ldconfig -p | grep -q 'libmaxminddb\.so\.0'

ARG REVISION=unknown
LABEL org.opencontainers.image.title="analytics" \
      org.opencontainers.image.description="Takes in events, stores each once, counts them" \
      org.opencontainers.image.revision="${REVISION}"

# Loopback is unreachable from outside a container. On any other address every request needs a key: docker exec … analytics keys create
ENV HOST=0.0.0.0 \
    PORT=4000 \
    DATA_DIR=/data \
    APP_ENV=production

# A numeric user, so that an orchestrator can verify that it is not root.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 4000

# Exit status 0 if GET /health/ready answers 200. The image needs no curl for it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["analytics", "health"]

# The service stops accepting, flushes its events, acknowledges them and ends.
STOPSIGNAL SIGTERM
ENTRYPOINT ["analytics"]
CMD ["serve"]
