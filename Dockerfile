# A static binary, the roots of trust, and licences; nothing else. `make image` builds it, also where there is no container engine.
#
# Pinned by digest, so that a tag that moves changes nothing unseen. To renew it, take the new tag's index digest from
# `docker buildx imagetools inspect rust:1.95-bookworm` (or `skopeo inspect --raw docker://docker.io/library/rust:1.95-bookworm | sha256sum`).
# The compiler runs on the builder's own platform, also for the other one.
FROM --platform=$BUILDPLATFORM rust:1.95-bookworm@sha256:6258907abe69656e41cd992e0b705cdcfabcbbe3db374f92ed2d47121282d4a1 AS build
ARG TARGETARCH
RUN case "$(dpkg --print-architecture)/$TARGETARCH" in \
      amd64/arm64) set -- gcc-aarch64-linux-gnu libc6-dev-arm64-cross ;; \
      arm64/amd64) set -- gcc-x86-64-linux-gnu libc6-dev-amd64-cross ;; \
      *) exit 0 ;; \
    esac \
 && apt-get update && apt-get install --yes --no-install-recommends "$@" && rm -rf /var/lib/apt/lists/*
WORKDIR /source
# Dependencies first: they change less often than the sources. Every target that Cargo.toml names has to have a file.
COPY Cargo.toml Cargo.lock ./
RUN for file in src/lib.rs $(sed -n 's/^path = "\(.*\)"/\1/p' Cargo.toml); do mkdir -p "$(dirname "$file")" && echo 'fn main() {}' > "$file"; done && touch README.md
COPY deploy/release/binary deploy/release/
RUN deploy/release/binary "$TARGETARCH" >/dev/null
COPY src src
COPY LICENSE ./
COPY deploy/release deploy/release
RUN touch src/lib.rs src/main.rs \
 && deploy/release/root /image "$(deploy/release/binary "$TARGETARCH")" /etc/ssl/certs/ca-certificates.crt

# Without an engine deploy/release/image puts a folder that it made in the place of the stage before.
FROM scratch
COPY --from=build /image/ /
LABEL org.opencontainers.image.title="database-backup-operator" \
      org.opencontainers.image.description="Takes backups of managed cloud databases exactly once and says truthfully how they went." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/database-backup-operator"]
CMD ["run"]
