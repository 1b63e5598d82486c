# Two commands on a fresh Debian 12 with a Swift 6.3 toolchain: `make run` and `make test`. `make` alone lists the rest.

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
deps: ## Install the C libraries that are missing
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
test: ## Lint, then all tests, with real services of their own
	@scripts/test.sh $(TEST_ARGS)

.PHONY: unit
unit: deps ## The tests that need no services
	@env -u TEST_MONGODB_URI -u TEST_RABBITMQ_URL -u TEST_REDIS_HOST -u TEST_REDIS_PORT -u TEST_PROMETHEUS_URL \
		-u TEST_STACK_SCRIPT swift test $(TEST_ARGS)

.PHONY: lint
lint: ## Check the format and the alert rules
	@scripts/lint.sh

.PHONY: format
format: ## Format the sources
	swift format --in-place --recursive --parallel Sources Tests Package.swift

.PHONY: stack-up
stack-up: ## Start MongoDB, RabbitMQ, Redis and Prometheus on loopback
	@scripts/stack.sh up

.PHONY: stack-down
stack-down: ## Stop them; the data stays
	@scripts/stack.sh down

.PHONY: stack-status
stack-status: ## What runs where
	@scripts/stack.sh status

.PHONY: stack-wipe
stack-wipe: ## Stop them and remove the data
	@scripts/stack.sh down --wipe

.PHONY: chaos
chaos: build ## Ten minutes of kills, stops and cut links on clusters of its own; loses and doubles nothing
	@scripts/stack.sh install
	@Tests/Chaos/chaos.py --binary $(binary)

.PHONY: oracle
oracle: build ## Ask random questions about random logs, and compare every answer with a second implementation
	@scripts/oracle.sh $(binary)

.PHONY: fuzz
fuzz: deps ## A million inputs for the JSON and BSON shims, under sanitizers (wants g++), and for each decoder of what comes over a wire
	@scripts/fuzz-json.sh
	@scripts/fuzz.sh

.PHONY: demo
demo: build ## Import 336,776 real flights and compare every count with the source
	@scripts/demo.sh

.PHONY: bench
bench: build ## Measure rates and latencies, and questions beside MongoDB's and DuckDB's answers
	@scripts/bench.sh

.PHONY: growth
growth: build ## Measure how costs grow up to 50 million events, for hours; killed and started again it goes on
	@scripts/bench.sh growth

.PHONY: image
image: ## Build the container image with docker, buildah or podman
	@scripts/image.sh $(IMAGE)

.PHONY: clean
clean: ## Remove what was built (not the stack's data: stack-wipe)
	swift package clean
