/*
Guest runs the tests of packages in small virtual machines, as root, on a cgroup v2
hierarchy that is unified and has all controllers, whatever the host has.

	guest [flags] packages [-- test binary flags]

	go run ./integration/guest ./cgroup ./proc
	go run ./integration/guest -kernel 6.1 -v ./cgroup -- -test.run=Usage
	go run ./integration/guest -file pmclient=bin/pmclient ./integration/...

Its report is that of go test, with the kernel behind each package; the output of a
package is shown when it failed or with -v, and what was skipped always. The exit
status is 1 if a test failed, a package does not compile or a guest did not finish;
none of these keeps the others from being tested.

# Model

	packages ── go test -c ──┐
	files    ────────────────┴─ tar ──► /dev/vda ─┐
	busybox, dash, modules, init.sh ───► initramfs ├─ a guest for each kernel ─► report
	scratch file system ──────────────► /dev/vdc ─┘        │
	                                                       └► /dev/vdb ─► -results

A guest is one boot of one Debian kernel in QEMU. Its PID 1 is init.sh: it mounts
what a test expects, unpacks the tar, runs one test binary after another and
switches the machine off. Nothing of the guest outlives it, and what a run that was
killed left in the temporary directory is removed by the next one.

Each binary runs in the root group, which hands all controllers to its children, in
a session of its own, in a directory that holds its package's testdata and nothing
else of the source. /bin/sh is dash, as in Debian, and the rest is busybox with a few
of Debian's programs and its time zones; /var/lib is ext4
on a disk (so fdatasync and the io controller are real), /tmp is memory, lo is up,
and there is a user tester (1000). CI is true, GUEST names the
kernel as -kernel does, and what is written to $RESULTS comes back to the
directory that -results names, below the kernel's name. Binaries are static: what
needs cgo or the race detector needs another kind of guest.

What the guest says comes over its second serial port. Lines of the form

	##UP uptime release
	##RUN uptime package
	##RC=code uptime package
	##DONE

stand between the output of the binaries. A guest that ends, or is ended at the
time limit, without ##DONE has panicked or hangs: it is booted once more, and
then its console is shown.

# The table

Which place the product must work in, on which kernels, and which tests show it, is one
table (table.go). -table all runs it, -table quick a choice of it that takes minutes;
-row and -kernel take a part. It ends with the table, and what came of each row on each
kernel; -docs puts that into a document, where the results of other parts stay as they are. Paths in it are from the top directory of the project, with the programs in bin.

	go run ./integration/guest -table quick
	go run ./integration/guest -table all -row 'systemd service' -kernel 6.1

To add a place, add a row: what kind of guest it is (the flags of this program) and the
packages to test there.

# With systemd

With -systemd the guest is a Debian 12 whose PID 1 is systemd: systemd.sh puts the tests into
its root file system, which is a disk of its own, and leaves the rest to systemd. The binaries
run in a unit, guest-tests.service, as root. There is no udev, no getty and no network. Packages
that -install names are there besides, in an image of their own.

A test may have the machine booted anew: it makes the file /tests/reboot, has systemd reboot,
and waits. The disk stays as it is, and after the second boot the same binary is run again, then
those that follow. A boot that nobody asked for, as after a panic, is the guest's end.

# Set-up

The first run fetches QEMU 10, busybox and the kernels from Debian and keeps them
in the cache directory; -setup does so afresh. Packages are only unpacked, with
all libraries they need, and nothing is installed: root is not needed, and the
system's own package sources stay as they are. (The Debian with systemd is installed, into a
directory of the cache, and that takes root.) apt uses a configuration of this
program's own, takes the mirror from the system's sources, and verifies what it
downloads. A kernel that Debian does not have any more is left out, and the report
says so; it is looked for again by -setup. The host must be a Debian, on amd64.

Several runs may share the cache: a set-up waits for the guests that use it.

KVM is used where a guest has been seen to boot with it, since it may be there and
not work; otherwise the processor is emulated. That a guest boots is tried once
for each boot of the host.
*/
package main

import _ "embed"

//go:embed init.sh
var initScript []byte

//go:embed systemd.sh
var systemdScript []byte
