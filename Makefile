# One target a habit; `make help` lists them. Everything needed beyond Go, Node.js/npm
# and make is installed by the target that needs it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := bin/throughline
NODE := node_modules/.package-lock.json
# Our own Go and templ sources; used for formatting only.
GO_FILES = $(shell git ls-files --cached --others --exclude-standard '*.go' | grep -v '_templ\.go$$')
SUDO = $(shell [ "$$(id -u)" = 0 ] || command -v sudo)
# The race detector needs a C compiler; without one (and no way to install it) tests run without.
RACE = $(shell command -v $$(go env CC) >/dev/null && echo -race)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# npm brings libchdb.so (the embedded ClickHouse), the web packages and the test browser's driver.
$(NODE): package.json package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

.PHONY: assets
assets: $(NODE)
	go generate ./web/assets

.PHONY: build
build: assets ## build bin/throughline, with its web assets
	CGO_ENABLED=0 go build -o $(BIN) ./cmd/throughline

.PHONY: run
run: build ## install what is missing, build, and start the demo
	exec $(BIN) demo

.PHONY: dev
dev: assets ## the demo, rebuilt and restarted on every change of a .go or .templ file
	go tool templ generate --watch --cmd "go run ./cmd/throughline demo --data-dir ./data/dev"

.PHONY: generate
generate: assets ## regenerate what is generated: assets and *_templ.go
	go tool templ generate

.PHONY: fmt
fmt: ## format Go and templ files
	go tool gofumpt -w $(GO_FILES)
	go tool templ fmt web

.PHONY: test-tools
test-tools: $(NODE)
	@missing=; \
	[ -x /usr/bin/chromium ] || missing="$$missing chromium fonts-dejavu-core"; \
	command -v $$(go env CC) >/dev/null || missing="$$missing gcc libc6-dev"; \
	if [ -n "$$missing" ] && command -v apt-get >/dev/null && { [ "$$(id -u)" = 0 ] || command -v sudo >/dev/null; }; then \
		$(SUDO) apt-get update -q; \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; \
	elif [ -n "$$missing" ]; then \
		echo "not installed, and no apt-get with root rights to install it:$$missing" >&2; \
	fi

# Browser tests first, so that the lines of go test close the output; all run, whatever the others
# found. The race detector looks at all but the long tests; those, of a program that is killed under
# load and held to seconds, run without it and one package at a time.
.PHONY: test
test: test-tools build ## install what the tests need, and run every test
	CGO_ENABLED=0 go vet ./...
	status=0; \
	npm run --silent e2e || status=1; \
	go test $(RACE) -short -timeout 30m ./... || status=1; \
	go test -p 1 -timeout 40m ./... || status=1; \
	exit $$status

.PHONY: check
check: generate ## generated files are current, formatted, linted, vetted, free of races
	git diff --exit-code -- '*_templ.go'
	unformatted=$$(go tool gofumpt -l $(GO_FILES)); \
	[ -z "$$unformatted" ] || { echo "not gofumpt-formatted (make fmt): $$unformatted" >&2; exit 1; }
	CGO_ENABLED=0 go vet ./...
	go tool staticcheck ./...
	go test $(RACE) -timeout 20m ./...

.PHONY: bench
bench: build ## Go benchmarks, then event to websocket measured on a running demo
	go test -run '^$$' -bench . -benchmem -timeout 40m ./...
	$(BIN) bench live

.PHONY: fuzz
fuzz: ## each fuzz test for 5 seconds
	grep -rl --include='*_test.go' '^func Fuzz' cmd flows ingest web | while read -r file; do \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' "$$file"); do \
			go test -run '^$$' -fuzz "^$$name\$$" -fuzztime 5s "./$$(dirname "$$file")"; \
		done; \
	done

.PHONY: clean
clean: ## remove what was built (data stays)
	rm -rf bin web/assets/dist/* test-results
