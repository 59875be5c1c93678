# `make demo` and `make test` do everything on a fresh machine with Rust, Go and Python 3.
.PHONY: help demo test storm figures lint crds image

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: tools ## Show the main job on a control plane and a simulated cloud of its own.
	@cargo build --quiet --bin database-backup-operator
	@cargo run --quiet --example demo

test: tools ## Run every test. The control plane is built on the first run.
	@tests/control-plane/build >/dev/null
	cargo test

storm: tools ## Run the storm with 1,000 objects and 300 kills (10 minutes); STORM_SEED repeats one.
	@tests/control-plane/build >/dev/null
	STORM_OBJECTS=1000 STORM_KILLS=300 cargo test --test storm

lint: tools ## Check formatting, clippy and documentation.
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps

figures: tools ## Measure speed, memory and calls with a thousand objects (5 minutes).
	@cargo build --quiet --release --bin database-backup-operator
	@cargo run --quiet --release --example figures

crds: tools ## Write crds/ anew from the types.
	BLESS=1 cargo test --lib api::crds

image: ## Build the container image.
	@command -v docker >/dev/null || { echo "docker is missing: install it, or build the Dockerfile with podman or buildah" >&2; exit 1; }
	docker build -t database-backup-operator:$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1) .

.PHONY: tools
tools:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.89 or newer (https://rustup.rs)" >&2; exit 1; }
