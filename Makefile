# tools/build builds the binaries for tests and the quickstart from source, once,
# into EVERLEAF_BIN_DIR.
DNS ?= builtin
export EVERLEAF_BIN_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/everleaf/bin
SERVERS = etcd kube-apiserver kube-controller-manager pebble haproxy-ingress vault
# What a node needs besides, and only root can run.
NODE = kube-scheduler kubelet kube-proxy coredns kubectl helm
# The caller's Go flags do not change what is built or tested.
export GOFLAGS =
# With its tracing, gRPC (a part of Google's SDK) keeps the linker from leaving out
# what is not used: 38 MB. TAGS=grpcnotrace,everleaf_no_cloud also leaves out the SDKs of
# the DNS vendors.
TAGS ?= grpcnotrace

.PHONY: help quickstart build image lego tools test fuzz e2e bench lint generate manifests clean

help:
	@echo "make quickstart [DNS=builtin|bind]  issue real certificates on this machine"
	@echo "make test                           run all tests (as root on Debian: install what they need)"
	@echo "make fuzz [FUZZTIME=1m]             run the fuzz targets that are part of make test"
	@echo "make e2e [KEEP=1]                   only the tests on a Kubernetes node (as root); keep the node"
	@echo "make bench                          run the measurements and print a table"
	@echo "make lint                           run linters; check generated files and tidy modules"
	@echo "make generate                       regenerate deepcopy methods, CRDs and admission policies"
	@echo "make manifests                      render the Helm chart into deploy/"
	@echo "make build                          bin/everleaf"
	@echo "make image [PUSH=registry/name:tag] bin/image: container images, SBOMs"
	@echo "make lego                           bin/everleaf-lego, a solver webhook with lego's DNS providers"
	@echo "make tools                          build etcd, kube-apiserver, kubectl and others from source"
	@echo "make clean                          remove bin/ (but not the tools in $(EVERLEAF_BIN_DIR))"

# The quickstart itself runs tools/build for its servers, after it has checked for
# BIND.
quickstart:
	@echo "building everleaf from source (the first time takes about 3 minutes; cached later)"
	@go build -trimpath -tags=$(TAGS) -o bin/ ./cmd/everleaf ./examples/quickstart
	@bin/quickstart -dns=$(DNS)

build:
	go build -trimpath -tags=$(TAGS) -o bin/everleaf ./cmd/everleaf

# No container engine is needed. One release of Go, which tools/image/go.mod names,
# builds images, so that a commit has one digest.
image:
	cd tools/image && GOTOOLCHAIN=$$(awk '$$1 == "toolchain" { print $$2 }' go.mod) go run . $(if $(ARCH),-arch=$(ARCH)) $(if $(PUSH),-push=$(PUSH))

# The plugin has a module of its own, and a lego in which three functions are changed:
# see plugins/lego/internal/patch. TAGS=lego_all adds the providers whose modules not
# every module proxy has.
lego:
	cd plugins/lego && go run ./internal/patch
	$(if $(findstring lego_all,$(TAGS)),cd plugins/lego && go mod tidy -modfile=.build/go.mod)
	cd plugins/lego && go build -trimpath -tags=$(TAGS) -modfile=.build/go.mod -o ../../bin/everleaf-lego .

tools:
	tools/build $(SERVERS) kubectl

test:
	tools/build $(SERVERS) kubectl helm
	test/prepare
	@result=0; \
	echo go test -race -timeout 45m ./..., without test/e2e; \
	go test -race -timeout 45m $$(go list ./... | grep -v '/test/e2e$$') || result=1; \
	echo plugins/lego: go test -race -tags=lego_few ./...; \
	(cd plugins/lego && go run ./internal/patch && go test -race -tags=lego_few -modfile=.build/go.mod ./...) || result=1; \
	echo tools/image: go test ./...; \
	(cd tools/image && GOTOOLCHAIN=$$(awk '$$1 == "toolchain" { print $$2 }' go.mod) go test ./...) || result=1; \
	$(MAKE) --no-print-directory fuzz || result=1; \
	$(MAKE) --no-print-directory e2e || result=1; \
	exit $$result

# FUZZTIME is for each target; two run at a time.
fuzz:
	test/fuzz

# Alone, because a node needs all of a small machine.
e2e:
	tools/build $(SERVERS) $(if $(filter 0,$(shell id -u)),$(NODE))
	test/prepare
	$(if $(filter 0,$(shell id -u)),$(MAKE) --no-print-directory image ARCH=$$(go env GOARCH))
	go test -count=1 -tags=$(TAGS) -v -timeout $(if $(KEEP),0,20m) ./test/e2e

bench:
	tools/build $(SERVERS)
	test/prepare
	go run ./test/bench

lint:
	test/lint

generate:
	go generate ./api/... ./internal/admission

# The chart has copies of the CRDs and the policies: generate first.
manifests:
	tools/build helm
	go run ./deploy/manifests/generate $$(tools/build --dir)/helm

clean:
	rm -rf bin
