// Package packages tests the packages on a host that systemd runs: what their scripts do at an
// installation, an upgrade, a downgrade, a removal and a purge. It runs in a guest machine
// (guest -systemd -install rpm) that has no processmanager but the packages, in
// /packages/processmanager.deb and .rpm. The other versions that an upgrade needs are made of
// the former.
package packages
