# The verbs of this project. `make help` lists them; each works in a fresh checkout.
#
#   FEATURES=--no-default-features   builds without OpenCV (run, bench)
#   RUN_ARGS="--limit-videos 1"      more options for the demo run
#   MASKLET_PYTHON=/path/to/python   an interpreter that has tools/export/requirements.txt

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run build test check test-exports rust-test python-test bench clean

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

test: setup check rust-test python-test ## all checks and all tests
	@echo "All checks and tests passed."

check: setup ## formatting, clippy and rustdoc, with and without OpenCV
	cargo fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --workspace --all-targets --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" && export RUSTDOCFLAGS && $(CARGO) doc --workspace --no-deps
	for script in tools/setup tools/deb tools/build-aarch64; do bash -n "$$script"; done
	sh -n tools/opencv-env

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

# Long tests of what has nothing to do with how pictures are read: once is enough.
ONCE := pytorch_gives_the_same_masks lower_precisions_score_as_fp32_does other_weights_are_found_out \
	the_embedded_bundle_computes_what_transformers_computes every_refused_allocation every_part_gives_a_verdict \
	rtx_builds_exported_bundles a_browser_shows_the_figures a_comparison_is_a_page_too \
	the_highest_rate_is_searched_for frames_at_a_rate_are_missed

rust-test: setup test-exports
	tools/setup --tensorrt-test-libs --nvrtc --video --browser
	$(CARGO) test --workspace
	$(CARGO) test --workspace --no-default-features -- $(ONCE:%=--skip %)

python-test: setup ## the tests of exporter, training and baseline; the first time this installs PyTorch into .venv
	tools/setup --python
	"$${MASKLET_PYTHON:-.venv/bin/python}" -m pytest -q tools/export/tests tools/train/tests tools/baseline/tests

bench: setup ## benchmarks, and the peers' programs in the same run where they are installed
	$(CARGO) bench --workspace $(FEATURES)
	@if [ -x tools/bench/run ]; then tools/bench/run; fi

clean: ## remove what was built and made; run folders stay
	rm -rf target $(DEMO) .venv
