# The commands of a checkout. `make help` lists them; `cargo xtask` does the work behind most.

# One target folder for every checkout of a person, so that a fresh clone builds its own crates
# only. A checkout that says where it builds (environment or .cargo/config.toml) is left alone.
ifeq ($(strip $(CARGO_TARGET_DIR)$(CARGO_BUILD_TARGET_DIR)$(shell grep -s target-dir .cargo/config.toml)),)
export CARGO_TARGET_DIR := $(HOME)/.cache/nightshift/target
endif

# Nothing built in CI is built again there.
ifdef CI
export CARGO_INCREMENTAL := 0
endif

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench setup generate

help: ## list the commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: ## build, then watch issues being worked from filing to landing; leaves the server running
	@scripts/setup demo
	cargo build --locked -p nightshift
	@"$$(scripts/target-dir)/debug/nightshift" demo

test: ## everything CI runs: format, tidy, clippy, docs, tests, generated files, the demo checking itself
	@scripts/setup test
	cargo run --quiet --locked -p xtask -- ci

lint: ## the fast half of `make test`: format, tidy, clippy
	cargo run --quiet --locked -p xtask -- ci --lint

bench: ## the speed figures of docs/PERFORMANCE.md, as ratios measured in one run
	@scripts/setup bench
	cargo run --quiet --locked -p xtask -- bench

setup: ## install what the demo and the tests need
	@scripts/setup test

generate: ## write the generated files: docs/openapi.json, docs/states.md
	cargo run --quiet --locked -p xtask -- generate
