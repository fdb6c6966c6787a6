# `make` alone lists what can be done here. Nothing but Go is needed for `run`;
# `test` installs what it needs through test/setup.

SHELL := /bin/bash
.DEFAULT_GOAL := help

GO        ?= go
# The pipeline that `make run` runs.
FILE      ?= .relevo/build.yaml
# How many random schedules the simulator tries.
SEEDS     ?= 20000
# How long each fuzz target runs.
FUZZTIME  ?= 20s
# How often bench-e2e measures each pair.
PAIRS     ?= 5
# More flags for `go test`: make test TESTFLAGS='-race -run Lease'.
TESTFLAGS ?=
PKG       ?= ./...

# What `make images` writes manifests of: a folder of deploy/knative/overlays.
OVERLAY   ?= per-function

# Builds and pushes images. It has a thousand dependencies of its own, too many
# for a go.mod beside other tools: it is had when it is needed.
KO ?= $(GO) run github.com/google/ko@v0.18.1

# The tools have a module of their own, so that their hundreds of dependencies
# stay out of the program's go.mod.
TOOL := $(GO) tool -modfile=test/tools/go.mod

# In this order: what is cheap fails first.
CHECKS := format arch drift vet lint

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build relevo, the lean host and the agent into bin/
	$(GO) build -o bin/relevo ./deploy/relevo
	$(GO) build -o bin/relevo-host ./deploy/host
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o bin/relevo-agent ./deploy/agent

.PHONY: run
run: build ## run a pipeline on this machine (FILE=.relevo/build.yaml)
	bin/relevo run $(FILE)

.PHONY: run-console
run-console: build ## serve the console with a sample run, and open a browser on it
	test/run-console

.PHONY: setup
setup: ## install and start what the tests need (redis, docker)
	test/setup

.PHONY: test
test: setup ## run every test (PKG=./... TESTFLAGS=)
	$(GO) test -count=1 -timeout 15m $(TESTFLAGS) $(PKG)
	@# Logins are tried against a provider that has a module of its own.
	[[ '$(PKG)' != ./... ]] || $(GO) test -C test/oidc -count=1 ./...

.PHONY: check
check: $(CHECKS) ## format, architecture, generated files, vet, lint

.PHONY: checks
checks:
	@echo $(CHECKS)

.PHONY: format
format:
	@git ls-files -z --cached --others --exclude-standard '*.go' \
		| while IFS= read -r -d '' f; do [[ ! -e $$f ]] || printf '%s\0' "$$f"; done \
		| xargs -0 -r $(TOOL) gofumpt -l \
		| { ! grep . || { echo 'the files above are not gofumpt-formatted: make fix' >&2; exit 1; }; }

.PHONY: fix
fix: ## format every file and apply the linters' own fixes
	$(TOOL) gofumpt -l -w .
	$(TOOL) golangci-lint run --fix ./...

.PHONY: arch
arch:
	$(GO) test -count=1 ./test/arch

.PHONY: drift
drift:
	test/drift

.PHONY: vet
vet:
	$(GO) vet ./...

.PHONY: lint
lint:
	$(TOOL) golangci-lint run ./...

.PHONY: gen
gen: ## write the generated files again (schemas, references, manifests)
	$(GO) generate ./...

.PHONY: images
images: ## push images to KO_DOCKER_REPO, write bin/relevo.yaml (OVERLAY=)
	@: $${KO_DOCKER_REPO:?where to push: make images KO_DOCKER_REPO=registry.example/relevo}
	@mkdir -p bin
	set -o pipefail; kubectl kustomize deploy/knative/overlays/$(OVERLAY) | $(KO) resolve --base-import-paths -f - > bin/relevo.yaml

.PHONY: sim
sim: ## run the simulator over SEEDS random schedules (20000)
	$(GO) run ./test/sim -seeds $(SEEDS)

.PHONY: planted
planted: ## plant bugs in a copy of the source: the simulator must catch each
	$(GO) run ./test/sim/planted

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (20s)
	test/fuzz $(FUZZTIME)

.PHONY: bench
bench: ## measure what the design promises
	$(GO) run ./test/bench

.PHONY: e2e
e2e: ## install on a real cluster and try it there (as root; KEEP=1: leave it up)
	test/e2e/run

.PHONY: e2e-deploy
e2e-deploy: ## deploy there with ko and func, whose builds take minutes
	test/e2e/run -tags e2e,deploy -run '^Test(Images|Func)$$'

.PHONY: bench-e2e
bench-e2e: ## measure on a real cluster (PAIRS=5)
	test/e2e/run -run '^$$' -bench . -benchtime $(PAIRS)x

.PHONY: cluster-up
cluster-up: ## bring up a Kubernetes with Knative on this machine (as root)
	$(GO) run -C test/cluster . up

.PHONY: cluster-down
cluster-down: ## stop that cluster and remove all of it
	$(GO) run -C test/cluster . down

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
