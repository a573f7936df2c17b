# syntax=docker/dockerfile:1
# The worker's image. Build from the project's top folder:
#   docker build -f deploy/worker.Dockerfile -t tendril-worker .
FROM rust:1.95-trixie AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,id=tendril-registry,target=/usr/local/cargo/registry \
    --mount=type=cache,id=tendril-target,target=/src/target,sharing=locked \
    cargo build --locked --profile dist -p analysis-worker \
    && install -D target/dist/analysis-worker /out/analysis-worker

FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=build /out/analysis-worker /analysis-worker
EXPOSE 8081
# Exec form: SIGTERM must reach the worker itself.
ENTRYPOINT ["/analysis-worker"]
