# Two commands on a fresh Debian 12 with a Swift 6.3 toolchain: `make run` and `make test`. `make` alone lists all targets.

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Arguments for the tests: make test TEST_ARGS="--filter RollerTests"
TEST_ARGS ?=
# The image's name
IMAGE ?= analytics:latest

binary := .build/release/analytics

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: deps
deps: ## Install missing C libraries
	@scripts/install-deps.sh

.PHONY: build
build: deps ## Build the service, optimized
	swift build -c release --product analytics

.PHONY: run
run: build ## Build, then serve on port 4000 with embedded backends (settings: .env)
	@exec $(binary) serve

.PHONY: run-stack
run-stack: build stack-up ## Build, then serve on the real services that stack-up starts
	@set -a; source <(scripts/stack.sh env); set +a; exec $(binary) serve

.PHONY: test
test: ## Lint, then run all tests, with a separate stack of real services
	@scripts/test.sh $(TEST_ARGS)

.PHONY: unit
unit: deps ## Run the tests that need no services
	@env -u TEST_MONGODB_URI -u TEST_RABBITMQ_URL -u TEST_REDIS_HOST -u TEST_REDIS_PORT -u TEST_PROMETHEUS_URL \
		-u TEST_STACK_SCRIPT swift test $(TEST_ARGS)

.PHONY: lint
lint: ## Check the format, the source rules and the alert rules
	@scripts/lint.sh

.PHONY: format
format: ## Format the sources
	swift format --in-place --recursive --parallel Sources Tests Package.swift

.PHONY: stack-up
stack-up: ## Start MongoDB, RabbitMQ, Redis and Prometheus on loopback
	@scripts/stack.sh up

.PHONY: stack-down
stack-down: ## Stop them and keep the data
	@scripts/stack.sh down

.PHONY: stack-status
stack-status: ## Show which services run, and where
	@scripts/stack.sh status

.PHONY: stack-wipe
stack-wipe: ## Stop them and remove the data
	@scripts/stack.sh down --wipe

.PHONY: chaos
chaos: build ## Kill, stop and disconnect processes for ten minutes, and check that no event is lost or duplicated
	@scripts/stack.sh install
	@Tests/Chaos/chaos.py --binary $(binary)

.PHONY: oracle
oracle: build ## Ask random questions about random logs and compare every answer with a second implementation
	@scripts/oracle.sh $(binary)

.PHONY: fuzz
fuzz: deps ## Run a million inputs through the JSON and BSON shims, with sanitizers (needs g++), and through each decoder of input
	@scripts/fuzz-json.sh
	@scripts/fuzz.sh

.PHONY: demo
demo: build ## Import 336,776 real flights and compare every count with the source
	@scripts/demo.sh

.PHONY: bench
bench: build ## Measure rates and latencies, and compare questions with MongoDB and DuckDB
	@scripts/bench.sh

.PHONY: growth
growth: build ## Measure how costs grow up to 50 million events (hours; resumes after a kill)
	@scripts/bench.sh growth

.PHONY: image
image: ## Build the container image with docker, buildah or podman
	@scripts/image.sh $(IMAGE)

.PHONY: clean
clean: ## Remove build products (not the data of the stack: stack-wipe)
	swift package clean
