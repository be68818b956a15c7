// Package reboot tests what a restart of the machine does to processes: how they end, and how
// they come back. The guest is booted anew in the middle of its one test (guest -systemd).
package reboot
