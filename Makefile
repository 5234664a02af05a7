# The verbs of this project. `make help` lists them; each works in a fresh checkout.
#
#   FEATURES=--no-default-features   builds without OpenCV (run, bench)
#   RUN_ARGS="--limit-videos 1"      more options for the demo run
#   MASKLET_PYTHON=/path/to/python   an interpreter that has tools/export/requirements.txt

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run build test check gate proof test-exports bench clean

export PATH := $(HOME)/.cargo/bin:$(PATH)

FEATURES ?=
RUN_ARGS ?=
DEMO := demo
RUNS := runs

# Every cargo command knows where OpenCV is.
CARGO := . tools/opencv-env && cargo

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: ## install what building needs (Debian packages when root, else says which)
	@tools/setup $(FEATURES)

# The version that run.json records; a build without it records that it is missing.
build: export MASKLET_GIT_DESCRIBE ?= $(shell git describe --always --dirty --tags 2>/dev/null)
build: setup
	$(CARGO) build --release $(FEATURES)

run: build ## the main job on a made-up split: synth, run, table
	if [ ! -e $(DEMO)/.complete ]; then \
	    rm -rf $(DEMO); \
	    target/release/masklet synth $(DEMO); \
	    touch $(DEMO)/.complete; \
	fi
	@run="$(RUNS)/demo-$$(date -u +%Y%m%dT%H%M%SZ)"; \
	target/release/masklet run --split-dir $(DEMO) --out-dir "$$run" $(RUN_ARGS)

test: setup ## formatting, lints and all fast tests; prints their number and the time
	@tools/setup --nextest
	@tools/test

check: setup ## formatting, clippy and rustdoc, with and without OpenCV
	cargo fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --workspace --all-targets --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" && export RUSTDOCFLAGS && $(CARGO) doc --workspace --no-deps

gate: setup ## everything that needs no GPU: PyTorch, TensorRT-RTX, kills, a browser, every feature
	@tools/setup --nextest
	@tools/test --gate

proof: ## what takes too long for the gate: packages in a fresh Debian, arm64 under qemu, benchmarks
	tools/deb --check
	tools/build-aarch64 --test
	$(MAKE) --no-print-directory bench

# What TensorRT's builder is tested on: exports with random weights in half precisions. They take
# about two minutes on two cores, once.
TEST_EXPORTS := .cache/test-exports
TEST_MODELS := edgetam_mini-256 edgetam-512 edgetam-1024 sam2_tiny-512
TEST_BUNDLES := $(foreach model,$(TEST_MODELS),$(TEST_EXPORTS)/$(model)-bf16 $(TEST_EXPORTS)/$(model)-fp16)
$(TEST_EXPORTS)/%/bundle.toml: $(wildcard tools/export/masklet_export/*.py)
	@IFS=- read -r model size precision <<<"$*"; \
	OMP_NUM_THREADS=1 PYTHONPATH=tools/export "$${MASKLET_PYTHON:-.venv/bin/python}" -m masklet_export \
	    --model "$$model" --imgsz "$$size" --precision "$$precision" --random-init 7 --skip-check \
	    --out $(@D)

# The trained weights in lower precisions, for the accuracy gates.
TRAINED := $(TEST_EXPORTS)/trained-bf16 $(TEST_EXPORTS)/trained-fp16
TRAINED_FROM := $(wildcard tools/train/checkpoint/model.safetensors tools/train/masklet_train/*.py)
$(TEST_EXPORTS)/trained-hf/config.json: $(TRAINED_FROM)
	OMP_NUM_THREADS=1 PYTHONPATH=tools/train "$${MASKLET_PYTHON:-.venv/bin/python}" -m masklet_train.release \
	    tools/train/checkpoint $(@D)
$(TEST_EXPORTS)/trained-%/bundle.toml: $(TEST_EXPORTS)/trained-hf/config.json $(wildcard tools/export/masklet_export/*.py)
	OMP_NUM_THREADS=1 PYTHONPATH=tools/export "$${MASKLET_PYTHON:-.venv/bin/python}" -m masklet_export \
	    --model edgetam_small --hf-dir $(TEST_EXPORTS)/trained-hf --trained --precision $* --skip-check --out $(@D)

test-exports: setup
	tools/setup --python
	$(MAKE) --no-print-directory -j2 $(TEST_BUNDLES:=/bundle.toml) $(TRAINED:=/bundle.toml)

bench: setup ## benchmarks
	$(CARGO) bench --workspace $(FEATURES)

clean: ## remove what was built and made; run folders stay
	rm -rf target $(DEMO) .venv
