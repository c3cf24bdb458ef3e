# profgen. `make` says what there is. Installing missing Debian packages, building images and recording take root.

SHELL := /bin/bash
IMAGES := .cache/images
FUZZTIME := 10s
KERNELS := 6.1 6.12
SCRIPTS := $(wildcard scripts/*) testdata/images/build.sh .ci/run

.DEFAULT_GOAL := help
.PHONY: help build demo test test-vm lint generate fuzz bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## compile bin/profgen
	@scripts/install-missing build
	go build -trimpath -o bin/profgen ./cmd/profgen

demo: build ## record an nginx image, make its profile, and run it under that
	scripts/install-missing demo
	scripts/demo.sh

test: ## build the test images and run every test (TESTFLAGS='-run Foo -v')
	scripts/install-missing test engines
	scripts/apparmor-corpus .cache/apparmor
	scripts/apparmor-parser .cache/apparmor-parser
	scripts/newer-debian .cache/podman podman
	scripts/arm64-programs .cache/arm64
	testdata/images/build.sh $(IMAGES) $(patsubst testdata/images/recipes/%.sh,%,$(wildcard testdata/images/recipes/*.sh))
	go test -count=1 -timeout 50m $(TESTFLAGS) ./...

test-vm: ## run what takes AppArmor or another kernel, under stock Debian kernels in qemu (KERNELS=6.1 RUN=TestUnderAppArmor/redis)
	scripts/install-missing vm engines
	testdata/images/build.sh $(IMAGES) redis postgres
	ARCHIVES=1 testdata/images/build.sh $(IMAGES) nginx
	scripts/test-vm $(if $(RUN),-run '$(RUN)') $(KERNELS)

lint: ## gofmt, vet, shellcheck, staticcheck, govulncheck
	@scripts/install-missing build lint
	@files=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$files" ] || { echo "gofmt -w would change:" $$files; exit 1; }
	go vet ./...
	shellcheck $(SCRIPTS)
	shellcheck --shell=bash --exclude=SC2034 testdata/images/recipes/*.sh # build.sh uses what they set
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	@echo govulncheck ./...
	@output=$$(go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./... 2>&1) || { \
		status=$$?; printf '%s\n' "$$output"; \
		[[ $$output == *"fetching vulnerabilities:"* ]] || exit $$status; \
		echo 'govulncheck: NOT CHECKED: the vulnerability database is out of reach'; }

generate: ## rebuild what go generate makes: tables and BPF objects
	scripts/install-missing build generate
	go generate ./...

fuzz: ## run every fuzz target for FUZZTIME (10s)
	@scripts/fuzz $(FUZZTIME)

bench: ## measure what scanning and recording cost, and the bars to keep (6 minutes; quiet machines only; BENCH='images record')
	@scripts/install-missing bench test
	@testdata/images/build.sh $(IMAGES) nginx redis memcached
	@go build -trimpath -o bin/profgen ./cmd/profgen
	@go build -trimpath -o bin/bench ./internal/bench
	@go test -count=1 -run TestX86Objdump -v ./internal/scan/insn | grep 'against objdump'
	@nice -n -15 bin/bench $(BENCH)

clean: ## remove what was built; the package cache in .cache/debian stays
	rm -rf bin $(IMAGES)
