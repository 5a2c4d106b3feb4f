# Everything starts here: `make demo` runs the demonstration, `make test` the tests. Both do all set-up themselves.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CORES ?= $(shell nproc)

.PHONY: setup plan demo docs tutorial test test-long fuzz bench bench-cohort bench-deepnull bench-resources bench-stress bench-whole-genome validity lint format validator readers s3 tools lock release clean help

help: ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(READY): requirements.lock pyproject.toml scripts/setup.sh
	PYTHON=$(PYTHON) sh scripts/setup.sh $(VENV)
	touch $@

setup: $(READY) ## make the virtual environment .venv from requirements.lock

CONFIG ?= config/config.yaml
plan: $(READY) ## say what a run will need before it runs (CONFIG=my.yaml for another configuration)
	@$(BIN)/deepnull-gwas plan --configfile $(CONFIG)

demo: $(READY) ## simulate a cohort and run three studies on it, with and without DeepNull
	$(BIN)/snakemake --cores $(CORES)

test: $(READY) validator readers s3 ## run all tests (unit, oracle, workflow)
	$(BIN)/python -m pytest -m "not slow" -n $(CORES) --dist loadfile --no-loadscope-reorder

test-long: $(READY) validator readers s3 ## run the tests that take longer
	$(BIN)/python -m pytest -m slow

FUZZ_CASES ?= 20000
fuzz: $(READY) ## read 20,000 generated inputs, sound and damaged (`make test` reads 500; FUZZ_CASES=100000 for more)
	FUZZ_CASES=$(FUZZ_CASES) $(BIN)/python -m pytest -q tests/fuzz

docs: $(READY) ## build the documentation into site/ (open site/index.html)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Documentation: $(CURDIR)/site/index.html"

tutorial: $(READY) ## run docs/tutorial/deepnull.py and write the notebook that is made from it
	$(BIN)/python scripts/docs/tutorial_page.py

bench: $(READY) ## time the association scan against PLINK 2, hard calls and dosages (half an hour on 2 idle cores, 8 GB of disk)
	$(BIN)/python benchmarks/association.py --json benchmarks/output/association.json
	$(BIN)/python benchmarks/dosages.py --json benchmarks/output/dosages.json
	$(BIN)/python benchmarks/scaling.py --json benchmarks/output/scaling.json --figure benchmarks/output/scaling.svg

bench-whole-genome: $(READY) ## power, calibration and cost of the whole-genome regression, beside BOLT-LMM and GEMMA; writes docs/whole_genome.md (hours)
	$(BIN)/python benchmarks/whole_genome.py all --json benchmarks/output/whole_genome
	$(BIN)/python benchmarks/whole_genome.py tables --json benchmarks/output/whole_genome

bench-cohort: $(READY) ## time counts, pruning, kinship and principal components against PLINK 2 (ten minutes)
	$(BIN)/python benchmarks/cohort.py

bench-resources: $(READY) ## compare the memory that jobs ask for with what they take, on cohorts of several sizes (an hour)
	$(BIN)/python benchmarks/resources.py --cores $(CORES) --json docs/resources.json

bench-stress: $(READY) ## the same on 60 people x 5 million variants and on 300,000 people x 1,000 variants (hours, 4 GB of disk)
	$(BIN)/python benchmarks/stress.py --cores $(CORES) --json docs/stress.json

validator: $(READY) ## install the GWAS Catalog's validator in an environment of its own
	sh scripts/install-ssf-validator.sh

readers: $(READY) ## install LDSC and PheWeb's reader, each in an environment of its own
	sh scripts/install-readers.sh

s3: $(READY) ## install Snakemake's S3 plugin beside the virtual environment, and a server to test it with
	sh scripts/install-s3.sh --test

lint: $(READY) ## check style: ruff, snakefmt, snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

format: $(READY) ## put code into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

tools: ## install the other tools that tests compare with (Debian or Ubuntu, as root)
	sh scripts/install-test-tools.sh

lock: $(READY) ## renew requirements.lock from pyproject.toml
	sh scripts/lock.sh

bench-deepnull: $(READY) ## measure the DeepNull models on simulated architectures (about two hours on one core), and CatBoost, LightGBM and EBM where they are installed
	$(BIN)/python benchmarks/deepnull_architectures.py
	$(BIN)/python benchmarks/deepnull_architectures.py --ablation --cases published_4k,entangled_20k,linear_4k
	$(BIN)/python benchmarks/deepnull_rivals.py
	$(BIN)/python benchmarks/covariate_loss.py --models linear,second_order,splines,trees

validity: $(READY) ## measure calibration and power on a simulated cohort, into results/validity (some minutes)
	$(BIN)/snakemake --cores $(CORES) --configfile config/validity/config.yaml -- validity

release: $(READY) ## show what a release would change (VERSION=0.2.0; scripts/release.py says the rest)
	$(BIN)/python scripts/release.py $(VERSION)

clean: ## remove what the demo and the tests made (the virtual environment stays)
	rm -rf results logs site dist .test/results .test/logs .test/.snakemake benchmarks/output .snakemake .pytest_cache .hypothesis
