// Package packages tests the Debian package on a host that systemd runs: what its scripts do at
// an installation, an upgrade, a downgrade, a removal and a purge. It runs in a guest machine
// (guest -systemd) that has no processmanager but the package, in /packages/processmanager.deb.
// The other versions that an upgrade needs are made of that one.
package packages
