# Front door. Every target says what it does in `make help`; the work is done by meson and tools/.
BUILD    ?= build
PREFIX   ?= /usr/local
DESTDIR  ?=
VENV     ?= .venv
JOBS     ?= $(shell nproc 2>/dev/null || echo 2)
export VENV JOBS

.DEFAULT_GOAL := help
.PHONY: help build demo check check-short check-long install format lint clean deps deps-test venv

help: ## print this list
	@echo "unmix: non-negative matrix factorisation of scanning electron diffraction"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "Variables: PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) BUILD=$(BUILD) VENV=$(VENV) JOBS=$(JOBS)"

build: deps ## compile the library and the tool; leaves build/unmix
	@tools/build.sh $(BUILD) --buildtype=release -Dtests=false

demo: build ## simulate a small scan, factorise it, write demo/report.html and say where it is
	$(BUILD)/unmix demo --force

check: deps-test ## short and medium tests (about ten minutes): units, oracles, sanitizers, fuzz seconds
	@tools/check.sh medium

check-short: deps-test ## only the short tests (about two minutes): units, command line, formats
	@tools/check.sh short

check-long: deps-test ## everything: also 4 GiB scans and an hour of fuzzing
	@tools/check.sh long

install: build ## install the tool, library, headers, manual pages (PREFIX=/usr/local DESTDIR=)
	@tools/build.sh $(BUILD) --prefix=$(abspath $(PREFIX))
	meson install -C $(BUILD) --no-rebuild $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" -eq 0 ]; then ldconfig; fi

format: ## reformat all C sources with clang-format
	@tools/install-deps.sh develop
	git ls-files '*.c' '*.h' | xargs clang-format -i

lint: build ## clang-tidy and cppcheck over the C sources, and the project's own source checks
	@tools/install-deps.sh develop
	@tools/lint.sh $(BUILD)

clean: ## remove what was built (keeps the Python environment)
	rm -rf build build-* demo

deps: # what compiling needs; does nothing when it is there
	@tools/install-deps.sh build

deps-test: deps
	@tools/install-deps.sh test
	@tools/make-venv.sh $(VENV)

venv: deps-test ## only make the Python environment of the tests
