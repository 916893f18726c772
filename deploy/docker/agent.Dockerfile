# Built from the root of the repository:
#   docker build -f deploy/docker/agent.Dockerfile -t quorate-agent .
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist -p quorate-agent \
    && cp target/dist/quorate-agent /usr/local/bin/quorate-agent \
    && mkdir -m 0700 /state

FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="quorate-agent" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /usr/local/bin/quorate-agent /usr/bin/quorate-agent
# A named volume takes over the owner and the mode of this folder.
COPY --from=build --chown=65532:65532 --chmod=0700 /state /var/lib/quorate-agent
USER 65532
VOLUME ["/var/lib/quorate-agent"]
ENTRYPOINT ["/usr/bin/quorate-agent"]
CMD ["run", "--config", "/etc/quorate/agent.yaml"]
