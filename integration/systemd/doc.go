// Package systemd tests the daemon on a host that systemd runs: the unit of this project, with
// the two programs and the secret alone, in a guest machine (guest -systemd).
package systemd
