# The commands of this repository. `make` alone lists them.
.PHONY: help demo test bench compare fuzz soak mutants powercut coverage format
.DEFAULT_GOAL := help

INSTALL := sh cmake/install_dependencies.sh
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
FUZZ_SECONDS ?= 30
SOAK_SECONDS ?= 3600
SOAK_LETTERS ?= 4
SOAK_DOUBLE ?= 16
SOAK_KILLS ?= 10000
SOAK_TSAN ?= 1
POWERCUTS ?= 20
POWERCUT_DISKS ?= ext4 xfs

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 14

demo:  ## ingest a real data set, search it exactly under every backend, print a table, write a picture
	@$(INSTALL) build
	@cmake --preset demo --log-level=WARNING
	@cmake --build --preset demo -j $(JOBS)
	@build/demo/bin/demo

test:  ## build and run every test
	@$(INSTALL) build
	@cmake --preset default --log-level=WARNING
	@cmake --build --preset default -j $(JOBS)
	@ctest --preset default -j $(JOBS)

bench:  ## run the benchmarks: target, reached, ratio, OK or MISS
	@$(INSTALL) build bench
	@cmake --preset bench --log-level=WARNING
	@cmake --build --preset bench -j $(JOBS)
	@cmake --build --preset bench --target run_bench

compare:  ## quiver beside hnswlib, faiss, usearch, zvec and SVS: a report and a table of targets in bench/results (COMPARE="--sets sift250k --judge ..."; SHORT=1: seconds, no data needed)
	@$(INSTALL) build bench compare
	@bench/compare/install.sh build/compare $(if $(SHORT),--short)
	@cmake --preset bench --log-level=WARNING
	@cmake --build --preset bench -j $(JOBS) --target compare_runners
	@build/compare/venv/bin/python bench/compare/compare.py $(if $(SHORT),--short) $(COMPARE)

fuzz:  ## run every fuzz target for FUZZ_SECONDS (30)
	@$(INSTALL) build fuzz
	@cmake --preset fuzz --log-level=WARNING
	@cmake --build --preset fuzz -j $(JOBS)
	@cmake -DFOLDER=build/fuzz -DSECONDS=$(FUZZ_SECONDS) -P tests/fuzz/run.cmake

soak:  ## crash collections everywhere for SOAK_SECONDS (3600), going on where the last run stopped; then kill SOAK_KILLS (10000) writers; then the threads under clang's TSan
	@$(INSTALL) build soak fuzz
	@cmake --preset default --log-level=WARNING
	@cmake --build --preset default -j $(JOBS) --target crash_soak
	@build/default/bin/crash_soak --seconds $(SOAK_SECONDS) --letters $(SOAK_LETTERS) --double-every $(SOAK_DOUBLE) --processes $(JOBS)
	@if [ "$(SOAK_KILLS)" != 0 ]; then \
	  cmake --build --preset default -j $(JOBS) --target test_collection && \
	  QUIVER_KILLS=$(SOAK_KILLS) build/default/bin/test_collection --run_test=processes --log_level=message; fi
	@if [ "$(SOAK_TSAN)" != 0 ]; then \
	  cmake --preset tsan-clang --log-level=WARNING && cmake --build --preset tsan-clang -j $(JOBS) && ctest --preset tsan-clang; fi

mutants:  ## do one thing after another wrongly; a test must notice each (MUTANTS=short: not those in the engine, which are a build each)
	@$(INSTALL) build soak
	@cmake --preset default --log-level=WARNING
	@cmake --build --preset default -j $(JOBS) --target crash_soak
	@build/default/bin/crash_soak --mutants
	@if [ "$(MUTANTS)" != short ]; then tests/crash/engine_mutants.sh; fi

powercut:  ## cut the power of ext4 and XFS under a writer POWERCUTS (20) times each; needs root
	@$(INSTALL) build soak
	@cmake --preset default --log-level=WARNING
	@cmake --build --preset default -j $(JOBS) --target powercut
	@build/default/bin/powercut --cuts $(POWERCUTS) --disks $(POWERCUT_DISKS)

coverage:  ## run the tests with clang's counters; which lines of the headers none of them runs
	@$(INSTALL) build clang fuzz
	@.ci/coverage

format:  ## format every source file
	@$(INSTALL) format
	@git ls-files --cached --others --exclude-standard '*.hpp' '*.cpp' | xargs clang-format-16 -i
