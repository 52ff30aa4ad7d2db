SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help env test lint demo qgis screenshots package wheelhouse

PLATFORM = windows
PYTHON = 3.12
TORCH = cpu
FOLDER = build/wheelhouse-$(PLATFORM)

help: ## lists these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

env: ## prepares QGIS, .venv (the worker) and .venv-qgis (tests in QGIS's Python); quick when all is there
	@.ci/setup

test: env ## runs all tests, in the worker's Python and in QGIS's
	@status=0; \
	.venv/bin/python -m pytest --ignore tests/ui || status=$$?; \
	rm -rf .qgis-settings; \
	QT_QPA_PLATFORM=offscreen .venv-qgis/bin/python -m pytest tests/ui || status=$$?; \
	exit $$status

lint: env ## checks style, formatting, security and secrets
	@status=0; \
	.venv/bin/ruff check . || status=1; \
	.venv/bin/ruff format --check . || status=1; \
	.venv/bin/bandit --quiet --configfile pyproject.toml --recursive . || status=1; \
	cp .secrets.baseline build/; \
	.venv/bin/detect-secrets-hook --baseline build/.secrets.baseline $$(git ls-files ':!.secrets.baseline') >build/secrets.log; \
	[ $$? -ne 1 ] || { cat build/secrets.log; status=1; }; \
	exit $$status

demo: env ## draws a suburb, finds its pools through QGIS, maps and scores them into build/demo
	@PYTHONPATH=. .venv/bin/python tests/demo/demo.py

qgis: env ## opens QGIS with the plugin from this checkout, in a throwaway profile
	@.venv/bin/python tests/ui/installed.py build/qgis build/demo/scene.tif build/demo/detections.gpkg

screenshots: env ## takes pictures of every window in a real QGIS into build/screenshots, and those of the help
	@PYTHONPATH=. .venv/bin/python tests/ui/screenshots.py

package: ## builds the ZIP that QGIS's 'Install from ZIP' takes
	@python3 .ci/package.py

wheelhouse: ## fills FOLDER for computers without a network: PLATFORM=windows|macos|linux|linux-arm64 PYTHON=3.12 TORCH=cpu|cu128|default
	@mkdir -p build
	@python3 -m core.job.environment --folder build/wheelhouse-uv --torch-backend "$(TORCH)" \
		wheelhouse --platform "$(PLATFORM)" --python "$(PYTHON)" "$(FOLDER)"
