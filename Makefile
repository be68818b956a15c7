# Needs Go and make. Modules and staticcheck come through the Go module proxy.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

# What guests leave out: minutes of computing, and little that depends on the kernel.
GUEST_SKIP = KeeperIsSmall|NothingIsLostInUpgrades|DescriptorsItLacks|TenThousandExits|QueriesAnswer|HostileNames|ExitCodesOfPmclient|Telnet|Netcat

# No version is stamped into the programs, so a checkout of another user will do.
export GOFLAGS += -buildvcs=false

.PHONY: build demo test lint test-guest bench storm

build: # bin/processmanager and bin/pmclient, static: they start faster, and run anywhere
	CGO_ENABLED=0 go build -o bin/ ./cmd/processmanager ./cmd/pmclient

demo: build # a tour that checks what it shows, with a daemon of its own
	integration/demo.sh bin

test: # unit tests, then the real programs on this kernel
	@if CGO_ENABLED=1 go test -race -run '^$$' ./heroscript >/dev/null 2>&1; then \
		race=-race CGO_ENABLED=1; echo '--- with the race detector'; \
	else \
		race= CGO_ENABLED=0; echo '--- without the race detector: it needs a C compiler'; \
	fi; \
	export CGO_ENABLED; status=0; \
	echo '--- unit tests'; \
	go test $$race -count=1 -timeout 10m $$(go list ./... | grep -v /integration) || status=1; \
	echo "--- integration tests, Linux $$(uname -r)"; \
	go test $$race -count=1 -timeout 10m ./integration/... || status=1; \
	exit $$status

lint: # gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not formatted (gofmt -w): $$unformatted"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

test-guest: build # tests of what the kernel does, on other kernels with all controllers
	go run ./integration/guest -file processmanager=bin/processmanager -file pmclient=bin/pmclient \
		./integration/guest/smoke ./cgroup ./proc ./supervisor ./supervisor/logs ./supervisor/keeper ./integration \
		-- -test.short -test.parallel=4 '-test.skip=$(GUEST_SKIP)'
