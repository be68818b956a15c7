// Package packaging holds what the packages are made of: nfpm.yaml says what is in them,
// package.sh builds that, and make package runs it.
//
//	processmanager.service, processmanager.socket   units of systemd
//	user/                                           the unit of ordinary users
//	sysusers.conf, tmpfiles.conf                    the group and the folders
//	example.hero.sample                             for /etc/processmanager
//	processmanager.conf                             the same
//	deb/ rpm/ apk/                                  scripts, and what Debian's policy asks for
//	shared/                                         what several scripts have in common
//	man/ completions/                               what is made from the programs' tables
//
// Its tests look into the packages that PACKAGES names (make test-package).
package packaging
