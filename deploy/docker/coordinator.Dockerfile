# Built from the root of the repository:
#   docker build -f deploy/docker/coordinator.Dockerfile -t quorate-coordinator .
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist -p quorate-coordinator -p quorate-cli \
    && cp target/dist/quorate-coordinator target/dist/quorate /usr/local/bin/ \
    && mkdir -m 0700 /state

FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="quorate-coordinator" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /usr/local/bin/quorate-coordinator /usr/local/bin/quorate /usr/bin/
# A named volume takes over the owner and the mode of this folder.
COPY --from=build --chown=65532:65532 --chmod=0700 /state /var/lib/quorate
# For `docker compose exec coordinator quorate get checks`.
# The token file is named, not its content.
# hadolint ignore=DL3064
ENV QUORATE_ADDRESS=https://localhost:7443 \
    QUORATE_CACERT=/var/lib/quorate/pki/ca.pem \
    QUORATE_TOKEN_FILE=/var/lib/quorate/admin.token
USER 65532
VOLUME ["/var/lib/quorate"]
EXPOSE 7443 7444 7445
ENTRYPOINT ["/usr/bin/quorate-coordinator"]
CMD ["run", "--config", "/etc/quorate/quorate.yaml"]
