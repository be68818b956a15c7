// Package packaging holds what the packages are made of: nfpm.yaml says what is in them,
// package.sh builds that, and make package runs it.
//
//	processmanager.service, processmanager.socket   units of systemd
//	sysusers.conf, tmpfiles.conf                    the group and the folders
//	example.hero.sample                             for /etc/processmanager
//	deb/ rpm/ apk/                                  scripts, and what Debian's policy asks for
//	shared/                                         what several scripts have in common
//
// Its tests look into the packages that PACKAGES names (make test-package).
package packaging
