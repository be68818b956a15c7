package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// systemdRecipe is the number of the way in which the Debian with systemd is made; another
// number in the cache means that it is made again.
const systemdRecipe = 1

// debian is a Debian with systemd, by the packages that it has besides, sorted.
type debian []string

// image is the file of it in the cache.
func (d debian) image() string { return strings.Join(append([]string{"systemd"}, d...), "+") + ".ext4" }

// systemdSize is that of its file system. The file is sparse.
const systemdSize = 2 << 30

// systemdPackages are what the Debian has besides the essential packages.
var systemdPackages = []string{"systemd", "systemd-sysv", "dbus", "dbus-user-session", "libpam-systemd", "procps"}

// setupSystemd installs a Debian into a directory and makes an image of it. mmdebstrap does
// that, fetched and unpacked with the Perl that it needs.
func (c *cache) setupSystemd(ctx context.Context, packages apt, d debian, tmp string) error {
	if os.Geteuid() != 0 {
		return errors.New("a Debian with systemd can be installed by root only")
	}
	debs, err := packages.download(ctx, "mmdebstrap")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		return err
	}
	tools, root := filepath.Join(tmp, "tools"), filepath.Join(tmp, "debian")
	for _, deb := range debs {
		if _, err := output(ctx, nil, "dpkg", "-x", deb, tools); err != nil {
			return err
		}
	}
	perl, err := perlPath(tools)
	if err != nil {
		return err
	}
	_, err = output(ctx, []string{"PERL5LIB=" + perl, "LC_ALL=C"}, "perl", filepath.Join(tools, "usr/bin/mmdebstrap"),
		"--mode=root", "--variant=essential", "--include="+strings.Join(slices.Concat(systemdPackages, d), ","),
		"--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
		"bookworm", root, "deb "+packages.mirror+" bookworm main")
	if err != nil {
		return err
	}
	image := filepath.Join(tmp, d.image())
	if err := makeSparse(image, systemdSize); err != nil {
		return err
	}
	mke2fs := c.tool("sbin/mke2fs", "-q", "-F", "-t", "ext4", "-d", root, image)
	if _, err := output(ctx, []string{"MKE2FS_CONFIG=" + c.path("root", "etc/mke2fs.conf")}, mke2fs[0], mke2fs[1:]...); err != nil {
		return err
	}
	return os.Rename(image, c.path(d.image()))
}

// perlPath is where the modules of the Perl below root are.
func perlPath(root string) (string, error) {
	var dirs []string
	for _, pattern := range []string{"usr/share/perl5", "usr/share/perl/5.*", "usr/lib/x86_64-linux-gnu/perl/5.*"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return "", err
		}
		dirs = append(dirs, found...)
	}
	return strings.Join(dirs, ":"), nil
}
