# Needs Go and make. Modules, staticcheck and nfpm come through the Go module proxy.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
NFPM = github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.1

# What -version says. The go command would refuse to stamp a checkout of another user; git
# reads one that it is told of. Without a checkout, or without git, the commit is unknown.
export GOFLAGS += -buildvcs=false
VERSION = 0.1.0
COMMIT = $(shell git --git-dir=.git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null)
STAMP = -X github.com/freeflowuniverse/processmanager/supervisor/version.number=$(VERSION) \
	-X github.com/freeflowuniverse/processmanager/supervisor/version.commit=$(COMMIT)

# Where make build puts the programs.
BIN = bin

# What packages are for, and their version: the one that is named, or what git says of the
# sources. The same sources make the same packages, with the time of the commit.
GOARCH = $(shell go env GOARCH)
PACKAGE_VERSION = $(if $(filter file,$(origin VERSION)),$(shell packaging/version.sh $(VERSION)),$(VERSION))
SOURCE_DATE_EPOCH ?= $(or $(shell git --git-dir=.git log -1 --format=%ct 2>/dev/null),0)

.PHONY: build man demo test lint test-guest test-matrix test-container test-systemd package test-package test-package-guest bench bench-systemd storm storm-guest

# The programs without tables for debuggers: a third less. Stacks are told all the same.
build: # bin/processmanager and bin/pmclient, static: they start faster, and run anywhere
	CGO_ENABLED=0 go build -ldflags "-s -w $(STAMP)" -o $(BIN)/ ./cmd/processmanager ./cmd/pmclient

man: # bin/man and bin/completions, from the tables of the programs; the pages have the day of the last commit
	GOARCH= SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) go run ./packaging/man $(BIN)

demo: build # a tour that checks what it shows, with a daemon of its own
	integration/demo.sh bin

# Rooms without goroutines, whose tests live through years: nothing in them is for the race
# detector, which makes them ten times slower.
PURE = ./supervisor/lifecycle ./supervisor/schedule

test: # unit tests, then the real programs on this kernel
	@if CGO_ENABLED=1 go test -race -run '^$$' ./heroscript >/dev/null 2>&1; then \
		race=-race CGO_ENABLED=1; echo '--- with the race detector'; \
	else \
		race= CGO_ENABLED=0; echo '--- without the race detector: it needs a C compiler'; \
	fi; \
	export CGO_ENABLED; status=0; \
	echo '--- unit tests'; \
	go test -count=1 -timeout 10m $(PURE) || status=1; \
	go test $$race -count=1 -timeout 10m $$(go list ./... | grep -v /integration $(PURE:./%=| grep -v /%$$)) || status=1; \
	echo "--- integration tests, Linux $$(uname -r)"; \
	go test $$race -count=1 -timeout 20m ./integration/... || status=1; \
	echo '--- tests as an ordinary user'; \
	integration/user.sh || status=1; \
	exit $$status

lint: # gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not formatted (gofmt -w): $$unformatted"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

GUEST = go run ./integration/guest

test-guest: build # the quick choice of the table of places and kernels (integration/guest/table.go)
	$(GUEST) -table quick

test-matrix: build package # the whole table; ROW='systemd service' and KERNEL=6.1 take a part, DOCS=docs/matrix.md writes their results there
	$(GUEST) -table all $(if $(ROW),-row '$(ROW)') $(if $(KERNEL),-kernel $(KERNEL)) $(if $(DOCS),-docs $(DOCS))

test-container: build # containers of podman, in a guest that systemd runs; takes root once, to set that up. KERNEL=6.1 takes one
	$(GUEST) -table all -row 'containers of podman' $(if $(KERNEL),-kernel $(KERNEL))

test-systemd: build # the units of this project, in guests that systemd runs; takes root once, to set that up. KERNEL=6.12
	$(GUEST) -table all -kernel $(or $(KERNEL),6.12) -row 'systemd service' -row 'ordinary user' -row 'ordinary user, at length'

package: # .deb, .rpm and .apk in bin/packages
	VERSION='$(PACKAGE_VERSION)' GOARCH=$(GOARCH) LDFLAGS='$(subst version.number=$(VERSION),version.number=$(PACKAGE_VERSION),$(STAMP))' \
		NFPM=$(NFPM) SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) packaging/package.sh

test-package: package # what is in the packages, by lintian, dpkg, rpm and tar
	PACKAGES=$(CURDIR)/bin/packages go test -count=1 -timeout 10m ./packaging

test-package-guest: package # installs, upgrades and removes the packages in a guest that systemd runs
	$(GUEST) -table all -row packages

bench: # each figure beside the least that the kernel could be asked for
	CGO_ENABLED=0 go test -run '^$$' -bench . -timeout 30m ./integration ./supervisor/keeper ./supervisor/logs ./supervisor/metrics

bench-systemd: build # systemd-run beside pmclient: start, stop of a tree of 100, memory; KERNEL=6.12
	$(GUEST) -v -systemd -kernel $(or $(KERNEL),6.12) -limit 15m -file /usr/bin/processmanager=bin/processmanager -file /usr/bin/pmclient=bin/pmclient \
		-file /usr/lib/systemd/system/processmanager.service=packaging/processmanager.service ./integration/systemd -- \
		-test.run='^$$' -test.bench=. -test.benchtime=$(or $(TURNS),10)x

storm: # kill worker and keeper at random for an hour, or DURATION; SEED=n repeats one; FLAGS='-files 100', '-disk fills' or '-disk freezes' makes it harder
	go run ./integration/storm -duration $(or $(DURATION),1h) $(if $(SEED),-seed $(SEED)) $(FLAGS)

storm-guest: build # the same on other kernels, DURATION=3m unless told otherwise
	go run ./integration/guest -limit 3h -file processmanager=bin/processmanager ./integration/storm -- -test.run=TestStorm -duration=$(or $(DURATION),3m)
