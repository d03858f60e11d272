# The two commands are `make train` and `make test`; each makes the environment first.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready

.PHONY: train test test-cluster test-browser test-wheel docs chaos chaos-hosts chaos-exceptions endurance bench-cluster bench-plan bench-best bench-env-workers lint bench clean

train: $(READY)
	$(VENV)/bin/teamnet train cartpole --out runs/cartpole --resume-if-present

test: $(READY)
	$(VENV)/bin/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-cluster: $(READY)
	$(VENV)/bin/python -m pytest -m cluster tests/cluster

test-browser: $(READY)
	$(VENV)/bin/python -m pytest -m browser tests/browser

chaos: $(READY)
	$(VENV)/bin/python -m tests.chaos.campaign

chaos-hosts: $(READY)
	$(VENV)/bin/python -m tests.chaos.campaign --hosts 3 --faults 100 --at-once 10

chaos-exceptions: $(READY)
	$(VENV)/bin/python -m tests.chaos.exceptions --backend local
	$(VENV)/bin/python -m tests.chaos.exceptions --backend ray

endurance: $(READY)
	$(VENV)/bin/python -m tests.chaos.endurance

bench-cluster: $(READY)
	$(VENV)/bin/python -m tests.cluster.measure

bench-plan: $(READY)
	$(VENV)/bin/python -m tests.cluster.predicted

bench-best: $(READY)
	$(VENV)/bin/python -m tests.cluster.chosen

bench-env-workers: $(READY)
	$(VENV)/bin/python -m tests.benchmarks.environment_workers

test-wheel: $(READY)
	tests/release/try_wheel.sh $(VENV)/bin/python

docs: $(READY)
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet

lint: $(READY)
	$(VENV)/bin/ruff check teamnet tests examples
	$(VENV)/bin/pyright

bench: $(READY)
	$(VENV)/bin/teamnet bench

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and "teamnet needs Python 3.11 to 3.13; give one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[box2d,video,sweep,baselines,cluster,report,wandb,mlflow,docs,dev]'
	$(VENV)/bin/python -m teamnet.team.prepare
	touch $(READY)

clean:
	rm -rf $(VENV)
