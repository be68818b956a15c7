// Package systemd tests the daemon on a host that systemd runs: the unit of this project, with
// the two programs and the secret alone, and that of an ordinary user (user_test.go), in a guest
// machine (guest -systemd).
package systemd
