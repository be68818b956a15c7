// Package integration holds the promises of the two programs, kept by the real
// binaries on the kernel that the tests run on. It has no code but tests.
//
// # Model
//
// TestMain builds both programs once, or takes those that PM_BIN and PMCLIENT_BIN
// name: the compiled test binary also runs where there is no Go toolchain. With
// -race the programs are built with it too.
//
// A [daemon] is one processmanager with places of its own: a directory in the
// temporary directory for state, socket and working directory, and the group
// pm-test-<pid>-<n> below the mount of cgroup v2 (below PM_CGROUP where that is
// set). Its TMPDIR is that directory, so whatever it starts, and what that starts,
// can be told in /proc by the environment. When a test ends its daemon gets
// SIGTERM; then no group, no FIFO and no process may be left, and nothing in its
// log may speak of a panic or a data race.
//
// A process under test is a shell script where that is enough, and this test
// binary in one of its [roles] where it is not.
//
// Nothing sleeps for a guessed time: eventually asks again until something is so,
// and gives up after patience, which is generous because guests are slow.
package integration
