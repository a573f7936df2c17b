# Everything one does with Tendril. `make` alone lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

.PHONY: help run demo token test test-production check fmt clippy doc deny advisories bench crowd churn fuzz autobahn idle-memory public-api faults rolling alerts pages screenshots dashboard-soak clean

help: ## List the targets
	@echo 'Tendril: make <target>'
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1|\2/' | awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'
	@echo 'Settings: PORT (8080), DATA_DIR (./data); PHOTO=path for demo; MINUTES for fuzz, churn and dashboard-soak.'

run: ## Install what is missing, build, and run hub and worker until Ctrl-C
	@scripts/run.sh

demo: ## Send a photo (one it draws, or PHOTO=path) to the running system and show the notification
	@scripts/demo.sh

token: ## Print a development token (USER_ID, default 42)
	@scripts/token.sh

test: ## Run all tests: unit, integration and end to end with the official client
	@scripts/test.sh

test-production: ## Run the end-to-end tests on PostgreSQL, RabbitMQ and Redis
	@TENDRIL_SET=production scripts/test.sh

check: fmt clippy doc deny advisories ## Run every static check

fmt: ## Check the formatting
	cargo fmt --all --check

clippy: ## Lint, warnings are errors
	cargo clippy --locked --workspace --all-targets -- -D warnings

doc: ## Build the API documentation, warnings are errors
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps

deny: ## Check licences, bans and sources of all dependencies
	@scripts/deny.sh bans licenses sources

advisories: ## Check dependencies for known vulnerabilities, where their database can be reached
	@scripts/deny.sh --optional advisories

bench: ## Run the benchmarks, measure upload to event, and compare with the bare floor
	@scripts/bench.sh

crowd: ## 19,000 connections on one hub: a broadcast to all, memory before, with them and after
	@ONLY='crowd of 19,000' TURNS=1 scripts/bench.sh

churn: ## A hundred clients a second come and go for MINUTES (60): memory before, at most and after
	@ONLY=churn TURNS=1 MINUTES=$(or $(MINUTES),60) scripts/bench.sh

fuzz: ## Fuzz the parsers and the connection, MINUTES (10) each
	@scripts/fuzz.sh $(or $(MINUTES),10)

autobahn: ## Judge the WebSocket codec by Autobahn's test suite
	@scripts/autobahn.sh

idle-memory: ## Measure the memory of idle connections, HUB=--hub for those of hub-api
	@scripts/idle-memory.sh $(HUB)

public-api: ## Check the listing of signalr's public API (scripts/public-api.sh --renew writes it)
	@scripts/public-api.sh

faults: ## Kill, freeze and cut off everything under load, on both sets of parts (ARGS="--seed 7")
	@scripts/faults.sh $(ARGS)

rolling: ## Restart two hubs one after the other under 2,000 clients
	@scripts/faults.sh rolling $(ARGS)

pages: ## Build the pages, for a hub that cargo builds afterwards (make run does so by itself)
	@scripts/pages.sh

screenshots: ## Take the pictures of the pages for docs/images, in Chromium
	@scripts/screenshots.sh

dashboard-soak: ## Watch /admin for MINUTES (60) under 1,000 notifications a second: heap, nodes, frames
	@MINUTES=$(or $(MINUTES),60) scripts/dashboard-soak.sh

alerts: ## Test the alert rules of deploy/prometheus with promtool
	@scripts/alerts.sh

clean: ## Remove what was built (not the data)
	cargo clean
	rm -rf crates/web-client/{node_modules,dist/*,client/dist,react-example/dist} crates/e2e/clients/node_modules scripts/demo/node_modules \
		crates/signalr/tests/clients/js/node_modules crates/signalr/tests/clients/python/.venv
