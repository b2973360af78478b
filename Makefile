# The binaries that tests and the quickstart need are built from source by
# tools/build, once, into EVERLEAF_BIN_DIR.
DNS ?= builtin
export EVERLEAF_BIN_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/everleaf/bin
SERVERS = etcd kube-apiserver kube-controller-manager pebble
# Flags of the caller's Go set-up do not change what is built or tested.
export GOFLAGS =

.PHONY: help quickstart build tools test bench lint generate clean

help:
	@echo "make quickstart [DNS=builtin|bind]  issue real certificates on this machine"
	@echo "make test                           run all tests (as root on Debian: installs what they need)"
	@echo "make bench                          measure, and print a table"
	@echo "make lint                           linters, generated files, tidy modules"
	@echo "make generate                       write deepcopy methods and CRDs anew"
	@echo "make build                          bin/everleaf"
	@echo "make tools                          build etcd, kube-apiserver, kubectl and the like from source"
	@echo "make clean                          remove bin/ (tools stay in $(EVERLEAF_BIN_DIR))"

# The quickstart builds the servers it needs itself, after it has looked for BIND.
quickstart:
	@echo "building everleaf from source (the first time takes about 3 minutes; cached later)"
	@go build -trimpath -o bin/ ./cmd/everleaf ./examples/quickstart
	@bin/quickstart -dns=$(DNS)

build:
	go build -trimpath -o bin/everleaf ./cmd/everleaf

tools:
	tools/build $(SERVERS) kubectl

test:
	tools/build $(SERVERS)
	test/prepare
	go test -race -timeout 45m ./...

bench:
	tools/build $(SERVERS)
	test/prepare
	go run ./test/bench

lint:
	test/lint

generate:
	go generate ./api/...

clean:
	rm -rf bin
