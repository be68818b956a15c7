// Package host has what tests do on a host that is theirs alone, such as a guest machine that
// systemd runs: its users run commands and start processes there, files are read, and what must
// come is waited for.
//
// It changes nothing that a test does not ask for.
package host
