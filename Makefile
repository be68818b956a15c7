# Needs Go and make. Modules and staticcheck come through the Go module proxy.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Guests compute ten times slower. Of the packages they leave out what takes minutes and
# depends little on the kernel; of the integration tests they run what depends on it.
# make test-guest GUEST_RUN=. runs all of those.
GUEST_SKIP = KeeperIsSmall|Upgrade|Unready|DescriptorsItLacks|TenThousandExits|QueriesAnswer
GUEST_RUN = ^Test(Memory|ThreadsAreNotPids|BytesFromAndToTheDisk|OutOfMemory|NoPidsLeft|NobodySurvives|ManyTrees|TreeIsInItsGroup|ExitCodesAndCauses|WhatTheLeader|CPUCounts|PidsAre|WorkerThatIsKilled|ExitWithoutAWorker|TreesOutliveTheKeeper|CommandLinesOfTheSeed|HeroscriptLinesOfTheSeed|RunInherits|ClockThatIsStepped|FollowerSees|OutputAndErrors|ACrashComesBack|BackoffSurvives|ARunGetsWhat|OnlyTheRunsOwn|ReadyIsNotLost|ProbeEndsWithTheRun|TheEndComesIn)

# What -version says. The go command would refuse to stamp a checkout of another user; git
# reads one that it is told of. Without a checkout, or without git, the commit is unknown.
export GOFLAGS += -buildvcs=false
VERSION = 0.1.0
COMMIT = $(shell git --git-dir=.git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null)
STAMP = -X github.com/freeflowuniverse/processmanager/supervisor/version.number=$(VERSION) \
	-X github.com/freeflowuniverse/processmanager/supervisor/version.commit=$(COMMIT)

# Where make build puts the programs.
BIN = bin

.PHONY: build demo test lint test-guest test-systemd bench storm storm-guest

build: # bin/processmanager and bin/pmclient, static: they start faster, and run anywhere
	CGO_ENABLED=0 go build -ldflags "$(STAMP)" -o $(BIN)/ ./cmd/processmanager ./cmd/pmclient

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
	echo '--- tests as an ordinary user'; \
	integration/user.sh || status=1; \
	exit $$status

lint: # gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not formatted (gofmt -w): $$unformatted"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

test-guest: build # tests of what the kernel does, on other kernels with all controllers
	@status=0; \
	guest="go run ./integration/guest -file processmanager=bin/processmanager -file pmclient=bin/pmclient"; \
	$$guest ./integration/guest/smoke ./cgroup ./proc ./supervisor ./supervisor/run ./supervisor/logs ./supervisor/keeper \
		-- -test.short -test.parallel=4 '-test.skip=$(GUEST_SKIP)' || status=1; \
	$$guest ./integration -- -test.short -test.parallel=4 '-test.run=$(GUEST_RUN)' || status=1; \
	exit $$status

test-systemd: build # the unit of this project, in a guest that systemd runs; takes root once, to set that up
	go run ./integration/guest -systemd -kernel 6.12 -limit 15m -file /usr/bin/processmanager=bin/processmanager -file /usr/bin/pmclient=bin/pmclient \
		-file /usr/lib/systemd/system/processmanager.service=packaging/processmanager.service \
		-file /usr/lib/systemd/system/processmanager.socket=packaging/processmanager.socket ./integration/systemd

bench: # each figure beside the least that the kernel could be asked for
	CGO_ENABLED=0 go test -run '^$$' -bench . -timeout 30m ./integration ./supervisor/keeper ./supervisor/logs

storm: # kill worker and keeper at random for an hour, or DURATION; SEED=n repeats one; FLAGS='-files 100', '-disk fills' or '-disk freezes' makes it harder
	go run ./integration/storm -duration $(or $(DURATION),1h) $(if $(SEED),-seed $(SEED)) $(FLAGS)

storm-guest: build # the same on other kernels, DURATION=3m unless told otherwise
	go run ./integration/guest -limit 3h -file processmanager=bin/processmanager ./integration/storm -- -test.run=TestStorm -duration=$(or $(DURATION),3m)
