// Package systemd is what the daemon has to say to the service manager of the host, and to
// ask of it: messages of sd_notify, a delegated scope, the job of a unit.
//
// # Model
//
//	Manager ── Booted ────▶ is there a systemd at all
//	   │────── Runs ──────▶ is there this instance of it, the system's or a user's
//	   │────── StartScope ▶ a group for our trees, which is not the unit's
//	   │────── Attach ────▶ a process of ours goes there
//	   │────── Job ───────▶ why a unit is being stopped: for good, or to start again
//	   └────── StopUnit
//	Notifier ── Send ─────▶ READY=1, STATUS=…, WATCHDOG=1
//
// # Why a scope
//
// A unit whose main process was killed cannot be started again while there are groups with
// processes below the unit's own group: systemd puts the new main process into that, and a
// group that has controllers enabled for its children may hold none (219/CGROUP). A scope is
// a unit of its own, which no start of another touches. It lives as long as a process is in
// it. Groups below it are ours to make (Delegate=); anywhere else in systemd's tree none is
// made by hand.
//
// # Connections
//
// A call makes a connection and closes it. The first is tried to the instance itself, by
// which systemctl goes too: it works while there is no message bus. That of a user's instance
// is below /run/user/UID, whatever $XDG_RUNTIME_DIR says.
package systemd
