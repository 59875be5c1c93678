# A static binary and the roots of trust; nothing else.
FROM rust:1.95-bookworm AS build
WORKDIR /source
# Dependencies first: they change less often than the sources.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src tests/simulator tests/demo tests/figures tests/hostile tests/system \
 && echo 'fn main() {}' | tee src/main.rs tests/simulator/main.rs tests/demo/main.rs tests/figures/main.rs tests/hostile/main.rs tests/house.rs tests/simulator/tests.rs tests/system/main.rs >/dev/null \
 && touch src/lib.rs README.md \
 && RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --locked --target "$(rustc -vV | sed -n 's/^host: //p')"
COPY src src
# glibc linked in (static-pie): its resolver reads /etc/hosts and asks DNS without further libraries.
RUN touch src/lib.rs src/main.rs \
 && host="$(rustc -vV | sed -n 's/^host: //p')" \
 && RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --locked --target "$host" \
 && cp "target/$host/release/database-backup-operator" /database-backup-operator

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /database-backup-operator /database-backup-operator
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/database-backup-operator"]
CMD ["run"]
