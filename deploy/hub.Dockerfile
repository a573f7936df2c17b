# syntax=docker/dockerfile:1
# The hub's image. Build from the project's top folder:
#   docker build -f deploy/hub.Dockerfile -t tendril-hub .
FROM node:22-trixie-slim AS pages
WORKDIR /src/crates/web-client
COPY crates/web-client .
COPY docs/clients/try.html /src/docs/clients/
RUN npm ci --no-audit --no-fund && npm run build

FROM rust:1.95-trixie AS build
WORKDIR /src
COPY . .
COPY --from=pages /src/crates/web-client/dist crates/web-client/dist
RUN --mount=type=cache,id=tendril-registry,target=/usr/local/cargo/registry \
    --mount=type=cache,id=tendril-target,target=/src/target,sharing=locked \
    cargo build --locked --profile dist -p hub-api \
    && install -D target/dist/hub-api /out/hub-api \
    && install -d -o 65532 -g 65532 /out/data

FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=build /out/hub-api /hub-api
COPY --from=build --chown=65532:65532 /out/data /data
# The only path that it writes to: database and images.
ENV DATA_DIR=/data
VOLUME /data
EXPOSE 8080
# Exec form: SIGTERM must reach the hub itself.
ENTRYPOINT ["/hub-api"]
