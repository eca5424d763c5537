# Thin: names for what tools/ and the CMake presets do. `make SETUP=: test` skips the set-up.
SETUP ?= tools/setup
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
RELEASE = build/release
DEMO = mix-migration
# The seeds of the traffic; scenarios/data/baselines.json keeps the searched settings for these.
SEEDS ?= 1,2,3,4,5
.DEFAULT_GOAL := help
.PHONY: help demo demo-vllm test test-engines bench bench-live bench-triton campaign python fuzz tidy clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
	  awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

demo:  ## tune a simulated fleet through shifting traffic and compare; writes a report
	@$(SETUP) core
	@tools/build release arqonhpo
	@$(RELEASE)/apps/arqonhpo/arqonhpo tune $(DEMO) --compare --seeds $(SEEDS)

demo-vllm:  ## tune a real vLLM on the CPU, strategies side by side; 1 GB to download once, 18 min
	@$(SETUP) core engines
	@tools/build release arqonhpo
	@tools/demo_vllm

test:  ## build with and without sanitizers, run every test; the last line counts them
	@$(SETUP) python
	@tools/build dev
	@tools/build release
	@tools/run_tests

test-engines:  ## tests against a real vLLM, Triton, llama.cpp and HAProxy; 1.4 GB to download once
	@$(SETUP) python engines
	@tools/build release
	@tools/engines install --yes || test $$? -eq 3
	@tools/run_tests engines

bench:  ## the figures docs/benchmarks.md keeps
	@$(SETUP) core
	@tools/build release
	@tools/run_benches

bench-live:  ## yesterday, hindsight and oracle of the shipped scenarios searched anew; long
	@$(SETUP) core
	@tools/build release bench_live
	@$(RELEASE)/bench/bench_live scenarios/data/baselines.json $(SEEDS) $(wildcard scenarios/*.json)

bench-triton:  ## tunes a real Triton against an exhaustive grid; 17 minutes
	@$(SETUP) core engines
	@tools/build release bench_triton
	@tools/engines install triton --yes
	@tools/engines start triton --name bench --port 18010
	@$(RELEASE)/bench/bench_triton http://127.0.0.1:18010 sleeper; code=$$?; \
	  tools/engines stop bench; exit $$code

campaign:  ## 10,000 seeds of faults against the safety contract, under 10 minutes
	@$(SETUP) core
	@tools/build release campaign
	@$(RELEASE)/tests/campaign/campaign --seeds 1-10000

python:  ## the Python package arqonhpo into .venv
	@$(SETUP) python

fuzz:  ## every parser under libFuzzer, a minute each
	@$(SETUP) fuzz
	@tools/build fuzz
	@ctest --preset fuzz -j $(JOBS)

tidy:  ## house rules: who includes whom, banned calls, sizes
	@tools/tidy

clean:  ## remove build output and .venv
	rm -rf build .venv
