# make demo             draws photos, summarizes and judges them with the shipped checkpoint, and writes a report
# make test             ruff, mypy, import-linter and pytest with branch coverage, in two processes
# make test-benchmarks  runs every benchmark on a small checkpoint, on a CPU
# make test-train       runs ms-swift's real trainer on the small checkpoint for a few steps, on a CPU
# make test-ray         runs workers under a real Ray and kills them
# make test-endpoint    sends requests to a real server with the shipped checkpoint, through a proxy that makes faults
# make test-gpu         tests the engines, their kernels and the commands on a CUDA device
# make test-browser     tests the report and the reviewer's page in a headless Chromium (Debian: apt-get install chromium chromium-driver)
# Each target creates .venv first if it is missing.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
VOCABULARY := dashscope==2.0.2  # tests and benchmarks read Qwen's BPE ranks from its wheel

.PHONY: demo test test-benchmarks test-train test-ray test-endpoint test-browser test-gpu install clean

demo: $(VENV)/.installed
	$(RUN)/yanshou demo

test: $(VENV)/.installed
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports
	$(RUN)/pytest -n 2 -m "not benchmarks and not train and not ray and not endpoint and not browser and not gpu" --cov

test-benchmarks: $(VENV)/.installed
	$(RUN)/pytest -m "benchmarks and not train" tests/test_benchmarks.py

test-train: $(VENV)/.trainer
	$(RUN)/pytest -m train

test-ray: $(VENV)/.ray
	$(RUN)/pytest -m ray

test-endpoint: $(VENV)/.endpoint
	$(RUN)/pytest -m endpoint tests/endpoint

test-gpu: $(VENV)/.installed
	$(RUN)/pytest -m gpu

test-browser: $(VENV)/.browser
	$(RUN)/pytest -m browser

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "yanshou needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(RUN)/pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[dev]'
	$(RUN)/pip install --disable-pip-version-check --quiet --no-deps $(VOCABULARY)
	touch $@

$(VENV)/.trainer: $(VENV)/.installed
	$(RUN)/pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[dev,train]'
	touch $@

$(VENV)/.ray: $(VENV)/.installed
	$(RUN)/pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[dev,ray]'
	touch $@

$(VENV)/.endpoint: $(VENV)/.installed
	$(RUN)/pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[dev,endpoint]' 'transformers[serving]'
	touch $@

$(VENV)/.browser: $(VENV)/.installed
	$(RUN)/pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[dev,browser]'
	touch $@

clean:
	rm -rf $(VENV) .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
