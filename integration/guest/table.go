package main

import (
	"fmt"
	"slices"
	"strings"
)

// row is a place in which the programs must work, and the tests that show it there. With
// the kernels it is a row of the table of places and kernels.
type row struct {
	place   string   // a short name, for people and for -row
	shows   string   // what of the product the tests show, a clause for the docs
	kernels []string // those it is tried on; [host] alone: this machine, without a guest
	quick   []string // those of them that are in the quick choice
	flags   []string // of this program, besides -kernel: what kind of guest it is
	tests   []string // the packages, and behind -- the flags for the test binaries
}

// name is that of the row's guest with a kernel; of a guest that is not of the table there
// is no place.
func (r row) name(kernel string) string {
	if r.place == "" {
		return kernel
	}
	return kernel + ", " + r.place
}

// host stands for the kernel of this machine.
const host = "host"

var (
	allKernels = []string{"6.1", "6.12", "6.18"}
	ends       = []string{"6.1", "6.18"} // what works on both works between them
)

// Guests compute ten times slower than this machine. Where a row leaves tests out, they take
// minutes and depend little on the place.

// plainPrograms are those of the product, built by make, where a test in a plain guest finds them.
var plainPrograms = []string{"-file", "processmanager=bin/processmanager", "-file", "pmclient=bin/pmclient"}

// installedPrograms are the programs and units where a package puts them.
var installedPrograms = []string{
	"-file", "/usr/bin/processmanager=bin/processmanager", "-file", "/usr/bin/pmclient=bin/pmclient",
	"-file", "/usr/lib/systemd/system/processmanager.service=packaging/processmanager.service",
	"-file", "/usr/lib/systemd/system/processmanager.socket=packaging/processmanager.socket",
	"-file", "/usr/lib/systemd/user/processmanager.service=packaging/user/processmanager.service",
}

// Tests of the product that depend most on what the kernel does: those that are quick, and
// those that take all the time and figures there are.
const (
	quickOfTheKernel = "Linux514|OlderKernels|TheStartSays|NoHierarchy|NobodyHasMounted|ThreadsAreNotPids|BytesFromAndToTheDisk|NoPidsLeft|" +
		"TreeIsInItsGroup|ExitCodesAndCauses|WhatTheLeader|CPUCounts|PidsAre|WorkerThatIsKilled|ExitWithoutAWorker|TreesOutliveTheKeeper|" +
		"RunInherits|OutputAndErrors|OnlyTheRunsOwn|ReadyIsNotLost"
	longOfTheKernel = "Memory|OutOfMemory|NobodySurvives|ManyTrees|CommandLinesOfTheSeed|HeroscriptLinesOfTheSeed|ClockThatIsStepped|" +
		"FollowerSees|ACrashComesBack|BackoffSurvives|ARunGetsWhat|ProbeEndsWithTheRun|TheEndComesIn|" +
		"EachLimit|AStoredLimit|CPUMax|CPUSet|IOMax|PidsMax|LimitOfAll|ForksThat|TimeThatATree|WritesThat|" +
		"CPUOf|PeakOf|ThrottledTime|PressureIs|SwapIs|DevicesAre|FiguresFollow"
)

// quickOfAUser are tests of an ordinary user that take a minute or two.
const quickOfAUser = "UsersProcesses|UsersShell|UsersPlaces"

// table is what is tested where. The rows that take longest come first, so that the last
// guests to run are short ones.
var table = []row{
	{
		place:   "systemd service",
		shows:   "the unit with the two programs and the secret alone: start, stop, restart, reload, SIGKILL of each process, boot, shutdown",
		kernels: allKernels,
		quick:   []string{"6.12"},
		flags:   slices.Concat([]string{"-systemd", "-limit", "15m"}, installedPrograms),
		tests:   []string{"./integration/systemd", "./integration/systemd/reboot", "--", "-test.skip=User"},
	},
	{
		place:   "ordinary user",
		shows:   "the user's unit from the start of his systemd to its end, a scope from his shell, and XDG places",
		kernels: allKernels,
		quick:   []string{"6.12"},
		flags:   slices.Concat([]string{"-systemd", "-limit", "15m"}, installedPrograms),
		tests:   []string{"./integration/systemd", "--", "-test.run=" + quickOfAUser},
	},
	{
		place:   "ordinary user, at length",
		shows:   "restart and reload of the user's unit, SIGKILL of each process of it, what is said without a systemd of his, and each mend of the doctor's",
		kernels: allKernels,
		flags:   slices.Concat([]string{"-systemd", "-limit", "15m"}, installedPrograms),
		tests:   []string{"./integration/systemd", "--", "-test.run=User", "-test.skip=" + quickOfAUser},
	},
	{
		place:   "systemd service, in a storm",
		shows:   "nothing is lost in 200 rounds of SIGKILL of keeper, worker, holder and both, restart, reload and daemon-reexec, in random order",
		kernels: []string{"6.12"},
		flags:   slices.Concat([]string{"-systemd", "-limit", "40m"}, installedPrograms),
		tests:   []string{"./integration/systemd", "--", "-test.run=Storm", "-rounds=200"},
	},
	{
		place:   "boot with 100 processes",
		shows:   "100 processes come up with the machine, within 1.5 times what the same take by pmclient start",
		kernels: []string{"6.12"},
		flags:   slices.Concat([]string{"-systemd", "-limit", "15m"}, installedPrograms),
		tests:   []string{"./integration/systemd/reboot", "--", "-processes=100"},
	},
	{
		place:   "containers of podman",
		shows:   "the first process and not, both cgroup namespaces, kept state, a read-only hierarchy, an ordinary user's containers",
		kernels: ends,
		flags: slices.Concat([]string{"-systemd", "-install", "busybox-static,catatonit,crun,podman,uidmap", "-memory", "3072", "-limit", "25m"},
			installedPrograms),
		tests: []string{"./integration/container"},
	},
	{
		place:   "root, from a shell",
		shows:   "the whole product as root in the root group, with all controllers",
		kernels: allKernels,
		quick:   ends,
		flags:   slices.Concat([]string{"-limit", "15m"}, plainPrograms),
		tests:   []string{"./integration", "--", "-test.short", "-test.parallel=4", "-test.run=^Test(" + quickOfTheKernel + "|" + longOfTheKernel + ")"},
	},
	{
		place:   "the kernel's own tests",
		shows:   "what the kernel's selftests of cgroups do, done to processes under management, with the figures that they expect",
		kernels: allKernels,
		quick:   []string{"6.18"},
		flags:   slices.Concat([]string{"-limit", "10m"}, plainPrograms),
		tests:   []string{"./integration", "--", "-test.parallel=4", "-test.run=^TestSelftest"},
	},
	{
		place:   "kernel interfaces",
		shows:   "groups, processes, runs, logs and the keeper, each by itself against the kernel",
		kernels: allKernels,
		quick:   ends,
		flags:   slices.Concat([]string{"-limit", "15m"}, plainPrograms),
		tests: []string{
			"./integration/guest/smoke", "./cgroup", "./proc", "./supervisor", "./supervisor/run", "./supervisor/logs", "./supervisor/keeper",
			"--", "-test.short", "-test.parallel=4", "-test.skip=KeeperIsSmall|Upgrade|Unready|DescriptorsItLacks|TenThousandExits|QueriesAnswer",
		},
	},
	{
		place:   "packages",
		shows:   "the .deb and the .rpm: installation, upgrade and downgrade under living trees, refusals, removal, purge",
		kernels: []string{"6.12"}, // dpkg, rpm and systemd do it, not the kernel
		flags: []string{"-systemd", "-install", "rpm", "-limit", "30m",
			"-file", "/packages/processmanager.deb=bin/package/processmanager.deb", "-file", "/packages/processmanager.rpm=bin/package/processmanager.rpm"},
		tests: []string{"./integration/packages"},
	},
	{
		place:   "as on Linux 5.14",
		shows:   "the product without the system calls, files and figures that came after Linux 5.14, and that older kernels are refused",
		kernels: allKernels,
		flags:   slices.Concat([]string{"-limit", "15m"}, plainPrograms),
		tests:   []string{"./integration", "--", "-test.short", "-test.parallel=2", "-linux-5.14", "-test.run=^Test(" + quickOfTheKernel + ")"},
	},
	{
		place:   "this machine",
		shows:   "finding the hierarchy that this machine has, and saying what it lacks",
		kernels: []string{host},
		tests:   []string{"./cgroup", "./proc", "./supervisor/doctor", "./integration", "--", "-test.short", "-test.run=Hierarch|Mount|Missing|Lacks|TheStartSays|Doctor|Check|Linux514|OlderKernels|TreeIsInItsGroup|ExitCodes|NobodySurvives|LimitsThatThisHost"},
	},
}

// The choices of the table.
const (
	quickChoice = "quick"
	allChoice   = "all"
)

// choose gives the rows of a choice, with their kernels in it. Of places and kernels
// those are taken that are named; none means all.
func choose(table []row, choice string, places, kernels []string) (chosen []row, err error) {
	if choice != quickChoice && choice != allChoice {
		return nil, fmt.Errorf("-table %q: %s or %s is expected", choice, quickChoice, allChoice)
	}
	for _, place := range places {
		if !slices.ContainsFunc(table, func(r row) bool { return r.place == place }) {
			var known []string
			for _, r := range table {
				known = append(known, r.place)
			}
			return nil, fmt.Errorf("-row %q: the table has %s", place, strings.Join(known, "; "))
		}
	}
	for _, r := range table {
		if len(places) > 0 && !slices.Contains(places, r.place) {
			continue
		}
		if choice == quickChoice {
			r.kernels = r.quick
		}
		r.kernels = slices.DeleteFunc(slices.Clone(r.kernels), func(k string) bool {
			return len(kernels) > 0 && !slices.Contains(kernels, k)
		})
		if len(r.kernels) > 0 {
			chosen = append(chosen, r)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("the choice %s has none of these rows with these kernels", choice)
	}
	return chosen, nil
}
