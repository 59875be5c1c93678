# `make demo` and `make test` do everything on a fresh machine with Rust, Go and Python 3.
.PHONY: help demo test test-oldest model storm year fuzz bench lint generate image package licences advisories

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# What the tests use of others.
PROGRAMS = control-plane control-plane-oldest helm helm-docs prometheus crds actionlint
# Compiled in a third of the time. Only what goes through millions of decisions, the library's own tests, needs to be as quick as Cargo.toml says.
QUICK = --config 'profile.dev.package."database-backup-operator".opt-level=0'

# They wait for timers and for control planes more than they compute.
AT_ONCE = $(shell echo $$(($$(nproc 2>/dev/null || sysctl -n hw.ncpu) + 1)))

demo: tools ## Show the main job on a control plane and a simulated cloud of its own.
	@tests/tools/compile 'the operator and the demo' 4 build $(QUICK) --bin database-backup-operator --example demo
	@cargo run $(QUICK) --quiet --example demo

test: tools ## Run every test, a core of them on the oldest Kubernetes, too. Control planes, helm and Prometheus are built on the first run.
	@for group in $(PROGRAMS); do tests/tools/build $$group >/dev/null || exit 1; done
	@tests/tools/compile 'the library and its own tests' 5 test --lib --no-run
	@tests/tools/compile 'the operator and the other tests' 4 test $(QUICK) --test '*' --no-run
	@RUST_TEST_THREADS=$(AT_ONCE) tests/tools/oldest core $(QUICK)
	cargo test --lib
	RUST_TEST_THREADS=$(AT_ONCE) cargo test $(QUICK) --test '*'

test-oldest: tools ## Run every system test on the oldest Kubernetes that the chart takes.
	@for group in $(PROGRAMS); do tests/tools/build $$group >/dev/null || exit 1; done
	@tests/tools/compile 'the operator and its system tests' 5 test $(QUICK) --test system --no-run
	@RUST_TEST_THREADS=$(AT_ONCE) tests/tools/oldest all $(QUICK)

storm: tools ## Run the storm with 1,000 objects and 300 kills (10 minutes); STORM_SEED repeats one.
	@tests/tools/build control-plane >/dev/null
	STORM_OBJECTS=1000 STORM_KILLS=300 cargo test --test storm

year: tools ## Live a year of schedules on a control plane with a driven clock (half an hour); YEAR_SEED throws other dice.
	@tests/tools/build control-plane >/dev/null
	YEAR_DAYS=365 cargo test $(QUICK) --test year -- --test-threads 1

# Seconds for each target.
FUZZ_SECONDS ?= 30

# Without sanitizers: they look for what unsafe code does, and there is none here.
fuzz: tools ## Throw hostile input at each parser for FUZZ_SECONDS (30); needs nightly Rust and cargo-fuzz.
	@cargo +nightly --version >/dev/null 2>&1 || { echo "the nightly toolchain is missing: rustup toolchain install nightly" >&2; exit 1; }
	@cargo fuzz --version >/dev/null 2>&1 || { echo "cargo-fuzz is missing: cargo install cargo-fuzz --locked" >&2; exit 1; }
	@cargo +nightly fuzz build --sanitizer none
	@mkdir -p fuzz/found; for target in $$(cargo +nightly fuzz list); do \
		mkdir -p fuzz/found/$$target; log=fuzz/found/$$target.log; \
		cargo +nightly fuzz run --sanitizer none $$target fuzz/found/$$target fuzz/corpus/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=512 -print_final_stats=1 -verbosity=0 >$$log 2>&1 \
			|| { tail -40 $$log; echo "a find: $$target (the whole of it in $$log)" >&2; exit 1; }; \
		awk -v target=$$target '/number_of_executed_units/ { printf "%-10s %10d inputs\n", target, $$2 }' $$log; \
	done

lint: tools ## Check formatting, clippy and documentation.
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps

model: tools ## Check every interleaving with more faults than `make test` does (a quarter of an hour, 3 GB).
	MODEL=deep cargo test --release --lib plan::backup::model -- --test-threads 1

bench: tools ## Measure the operator beside its peers, into docs/benchmarks.md (2 hours); STEPS and PEERS choose some.
	@tests/tools/compile 'the operator' 10 build --release --bin database-backup-operator
	@bench/run "$(PEERS)" "$(STEPS)"

generate: tools ## Write anew what is made from something else: crds/, the chart's README, plain manifests, snapshots, docs.
	BLESS=1 cargo test $(QUICK) --lib api::crds
	BLESS=1 cargo test $(QUICK) --test deploy -- --test-threads 1
	BLESS=1 cargo test $(QUICK) --test docs

image: tools ## Build the container image, by docker, podman or buildah.
	@deploy/release/image

package: tools ## Write what a release consists of, with checksums, into target/package.
	@deploy/release/package

licences: tools ## Check the licences and sources of everything that is linked in.
	@"$$(deploy/release/tool cargo-deny)" --log-level error check --hide-inclusion-graph licenses bans sources

advisories: tools ## Look the dependencies up in RustSec's advisories, where that database can be had.
	@deploy/release/advisories

.PHONY: tools
tools:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.89 or newer (https://rustup.rs)" >&2; exit 1; }
