package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	modeDir  = 0o040000
	modeFile = 0o100000
	modeLink = 0o120000
)

// etc is what the C library, the shell and su look for.
var etc = map[string]string{
	"passwd": "root:x:0:0:root:/root:/bin/sh\n" +
		"daemon:x:1:1:daemon:/usr/sbin:/bin/false\n" +
		"tester:x:1000:1000:tester:/home/tester:/bin/sh\n" +
		"nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
	"group":    "root:x:0:\ndaemon:x:1:\ntty:x:5:\ntester:x:1000:\nnogroup:x:65534:\n",
	"shells":   "/bin/sh\n",
	"hosts":    "127.0.0.1 localhost guest\n::1 localhost\n",
	"hostname": "guest\n",
}

// makeInitramfs gives the root file system of a guest: busybox and some programs
// from the directory root, the kernel's modules, and the script that is its PID 1.
func makeInitramfs(root string, k kernel, init []byte) ([]byte, error) {
	binaries, err := withLibraries(root, programs)
	if err != nil {
		return nil, err
	}
	modules, err := filepath.Glob(filepath.Join(k.dir, "*.ko"))
	if err != nil {
		return nil, err
	}
	var a cpio
	for _, dir := range []string{
		"bin", "sbin", "lib", "lib/x86_64-linux-gnu", "lib64", "usr", "usr/bin", "usr/sbin",
		"usr/lib", "usr/lib/x86_64-linux-gnu", "usr/local", "usr/local/bin", "usr/local/sbin", "usr/share", "dev", "etc", "home", "modules", "mnt", "proc", "results", "run", "sys", "tests",
		"var", "var/lib", "var/log", "var/tmp",
	} {
		a.add(dir, modeDir|0o755, 0, nil)
	}
	a.add("root", modeDir|0o700, 0, nil)
	a.add("tmp", modeDir|0o1777, 0, nil)
	a.add("home/tester", modeDir|0o755, 1000, nil)
	a.add("init", modeFile|0o755, 0, init)
	for _, path := range append(binaries, "bin/busybox") {
		image, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			return nil, err
		}
		a.add(path, modeFile|0o755, 0, image)
	}
	a.add("lib64/"+filepath.Base(loader), modeLink|0o777, 0, []byte("../"+loader))
	a.add("bin/sh", modeLink|0o777, 0, []byte("dash"))
	a.add("usr/bin/nc", modeLink|0o777, 0, []byte("/bin/nc.openbsd")) // where busybox puts its own
	a.add("var/run", modeLink|0o777, 0, []byte("../run"))
	if err := a.zones(root); err != nil {
		return nil, err
	}
	for name, text := range etc {
		a.add("etc/"+name, modeFile|0o644, 0, []byte(text))
	}
	for _, path := range modules {
		image, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		a.add("modules/"+filepath.Base(path), modeFile|0o644, 0, image)
	}
	return a.bytes(), nil
}

// zones adds the time zones, without the copies for other ways of counting leap
// seconds.
func (c *cpio) zones(root string) error {
	const zoneinfo = "usr/share/zoneinfo"
	return filepath.WalkDir(filepath.Join(root, zoneinfo), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case name == zoneinfo+"/posix" || name == zoneinfo+"/right":
			return fs.SkipDir
		case d.IsDir():
			c.add(name, modeDir|0o755, 0, nil)
			return nil
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			c.add(name, modeLink|0o777, 0, []byte(target))
			return err
		}
		data, err := os.ReadFile(path)
		c.add(name, modeFile|0o644, 0, data)
		return err
	})
}

// cpio writes an archive in the "newc" format, the one that the kernel unpacks
// (Documentation/driver-api/early-userspace/buffer-format.rst).
type cpio struct {
	buf   bytes.Buffer
	inode int
}

// add appends a file, a directory, or a symbolic link whose target is data. The
// owner is both user and group.
func (c *cpio) add(name string, mode, owner int, data []byte) {
	c.inode++
	c.entry(name, c.inode, mode, owner, data)
}

func (c *cpio) entry(name string, inode, mode, owner int, data []byte) {
	const links, mtime, device = 1, 0, 0
	fmt.Fprintf(&c.buf, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		inode, mode, owner, owner, links, mtime, len(data), device, device, device, device, len(name)+1, 0, name)
	c.pad()
	c.buf.Write(data)
	c.pad()
}

func (c *cpio) pad() {
	for c.buf.Len()%4 != 0 {
		c.buf.WriteByte(0)
	}
}

func (c *cpio) bytes() []byte {
	c.entry("TRAILER!!!", 0, 0, 0, nil)
	return c.buf.Bytes()
}
