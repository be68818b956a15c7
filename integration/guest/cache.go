package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// recipe is the number of the way in which the cache is filled; another number
// there means that the set-up is done again.
const recipe = 3

// scratchSize is that of the file system at /var/lib. The file is sparse.
const scratchSize = 2 << 30

// cache is the directory with what guests are made of, locked while it is open:
//
//	root/              QEMU, busybox, mke2fs and what guests need, with all libraries, unpacked
//	kernels/6.1/       vmlinuz, and the modules numbered in the order to load them
//	scratch.ext4       an empty file system
//	systemd.ext4       a Debian with systemd, if it was asked for
//	systemd+podman.ext4  the same, with that package
//	setup.json         what is there
//	kvm                whether KVM works, and in which boot of the host that was seen
//	lock
type cache struct {
	dir   string
	lock  *os.File
	state setupState
}

// setupState is setup.json. A kernel that Debian does not have is kept as "".
type setupState struct {
	Recipe  int
	Kernels map[string]string // version: package
	Systemd int               `json:",omitempty"` // systemdRecipe of the image; 0: there is none
	More    map[string]int    `json:",omitempty"` // the same of images with packages besides, by their files
}

// recipeOf is the systemdRecipe of an image; 0: there is none.
func (s *setupState) recipeOf(d debian) int {
	if len(d) == 0 {
		return s.Systemd
	}
	return s.More[d.image()]
}

func (s *setupState) setRecipe(d debian, number int) {
	if len(d) == 0 {
		s.Systemd = number
		return
	}
	if s.More == nil {
		s.More = map[string]int{}
	}
	s.More[d.image()] = number
}

// kernel is one that guests can boot.
type kernel struct {
	version string // as -kernel names it
	name    string // of Debian's package
	dir     string
}

func (k kernel) image() string { return filepath.Join(k.dir, "vmlinuz") }

// openCache gives the cache with these kernels in it, and does the set-up if that
// is needed, or asked for. Close unlocks it.
func openCache(ctx context.Context, dir string, kernels []string, debians []debian, afresh bool, log io.Writer) (*cache, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	c := &cache{dir: dir, lock: lock}
	if err := c.prepare(ctx, kernels, debians, afresh, log); err != nil {
		lock.Close()
		return nil, err
	}
	return c, nil
}

// Close lets the next one set up.
func (c *cache) Close() error { return c.lock.Close() }

func (c *cache) prepare(ctx context.Context, kernels []string, debians []debian, afresh bool, log io.Writer) error {
	for {
		if err := c.flock(ctx, syscall.LOCK_SH); err != nil {
			return err
		}
		c.load()
		if !afresh && c.complete(kernels, debians) {
			return nil
		}
		// Taking the other lock lets go of this one: somebody else may have done it.
		if err := c.flock(ctx, syscall.LOCK_EX); err != nil {
			return err
		}
		c.load()
		if afresh || !c.complete(kernels, debians) {
			if err := c.setup(ctx, kernels, debians, afresh, log); err != nil {
				return err
			}
		}
		afresh = false
	}
}

// flock waits for the lock and can be interrupted, which the system call cannot.
func (c *cache) flock(ctx context.Context, how int) error {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		err := syscall.Flock(int(c.lock.Fd()), how|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-again.C:
		}
	}
}

func (c *cache) path(elem ...string) string {
	return filepath.Join(append([]string{c.dir}, elem...)...)
}

// load reads setup.json; anything wrong with it reads as nothing there.
func (c *cache) load() {
	c.state = setupState{}
	if text, err := os.ReadFile(c.path("setup.json")); err != nil || json.Unmarshal(text, &c.state) != nil || c.state.Recipe != recipe {
		c.state = setupState{}
	}
}

func (c *cache) complete(kernels []string, debians []debian) bool {
	if c.state.Recipe != recipe {
		return false
	}
	for _, d := range debians {
		if c.state.recipeOf(d) != systemdRecipe {
			return false
		}
	}
	for _, k := range kernels {
		if _, ok := c.state.Kernels[k]; !ok {
			return false
		}
	}
	return true
}

func (c *cache) kernel(version string) (kernel, bool) {
	name := c.state.Kernels[version]
	return kernel{version, name, c.path("kernels", version)}, name != ""
}

// setup fills the cache. What is there already stays, if that is not to be done
// afresh; setup.json is written last, so that half a set-up counts as none.
func (c *cache) setup(ctx context.Context, kernels []string, debians []debian, afresh bool, log io.Writer) error {
	begin := time.Now()
	fmt.Fprintf(log, "guest: set up in %s\n", c.dir)
	if afresh || c.state.Recipe != recipe {
		c.state = setupState{}
		for _, name := range []string{"setup.json", "root", "kernels", "scratch.ext4", "kvm"} {
			if err := os.RemoveAll(c.path(name)); err != nil {
				return err
			}
		}
		images, err := filepath.Glob(c.path("systemd*.ext4"))
		if err != nil {
			return err
		}
		for _, image := range images {
			if err := os.Remove(image); err != nil {
				return err
			}
		}
	}
	tmp := c.path("tmp") // also what an interrupted set-up left there
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	packages, err := newApt(ctx, filepath.Join(tmp, "apt"), log)
	if err != nil {
		return err
	}
	if c.state.Recipe != recipe {
		if err := c.setupTools(ctx, packages); err != nil {
			return err
		}
		c.state = setupState{Recipe: recipe, Kernels: map[string]string{}}
	}
	for _, version := range kernels {
		if _, ok := c.state.Kernels[version]; ok {
			continue
		}
		name, err := packages.kernelPackage(ctx, version)
		if err != nil {
			return err
		}
		if name == "" {
			fmt.Fprintf(log, "guest: linux %s: Debian has no such kernel any more\n", version)
		} else if err := c.setupKernel(ctx, packages, version, name, filepath.Join(tmp, version)); err != nil {
			return err
		}
		c.state.Kernels[version] = name
	}
	for _, d := range debians {
		if c.state.recipeOf(d) == systemdRecipe {
			continue
		}
		if err := c.setupSystemd(ctx, packages, d, filepath.Join(tmp, d.image())); err != nil {
			return err
		}
		c.state.setRecipe(d, systemdRecipe)
	}
	text, err := json.MarshalIndent(c.state, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tmp, "setup.json"), text, 0o644); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(tmp, "setup.json"), c.path("setup.json")); err != nil {
		return err
	}
	fmt.Fprintf(log, "guest: set up in %.1fs\n", time.Since(begin).Seconds())
	return nil
}

func (c *cache) setupTools(ctx context.Context, packages apt) error {
	debs, err := packages.download(ctx, append([]string{"qemu-system-x86", "busybox-static", "e2fsprogs"}, guestPackages...)...)
	if err != nil {
		return err
	}
	for _, deb := range debs {
		if _, err := output(ctx, nil, "dpkg", "-x", deb, c.root()); err != nil {
			return err
		}
	}
	scratch := c.path("scratch.ext4")
	if err := makeSparse(scratch, scratchSize); err != nil {
		return err
	}
	mke2fs := c.tool("sbin/mke2fs", "-q", "-F", "-t", "ext4", scratch)
	_, err = output(ctx, []string{"MKE2FS_CONFIG=" + c.path("root", "etc/mke2fs.conf")}, mke2fs[0], mke2fs[1:]...)
	return err
}

// setupKernel keeps of a kernel's package its image and the modules that a guest
// needs.
func (c *cache) setupKernel(ctx context.Context, packages apt, version, name, tmp string) error {
	deb, err := packages.downloadOnly(ctx, name)
	if err != nil {
		return err
	}
	if _, err := output(ctx, nil, "dpkg", "-x", deb, tmp); err != nil {
		return err
	}
	release := strings.TrimPrefix(name, "linux-image-")
	dir := c.path("kernels", version)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(tmp, "boot", "vmlinuz-"+release), filepath.Join(dir, "vmlinuz")); err != nil {
		return err
	}
	modules := filepath.Join(tmp, "lib/modules", release)
	if _, err := os.Stat(modules); err != nil {
		modules = filepath.Join(tmp, "usr/lib/modules", release) // since Debian 13
	}
	list, err := loadModules(ctx, modules, c.path("root", "bin/busybox"))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for i, m := range list {
		file := filepath.Join(dir, fmt.Sprintf("%02d-%s.ko", i, m.name))
		if err := os.WriteFile(file, m.image, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (c *cache) root() string { return c.path("root") }

// tool is the command line of an unpacked program with its own libraries.
func (c *cache) tool(program string, args ...string) []string {
	var dirs []string
	for _, d := range libraryDirs {
		dirs = append(dirs, c.path("root", d))
	}
	return append([]string{
		c.path("root", loader), "--library-path", strings.Join(dirs, ":"), c.path("root", program),
	}, args...)
}

// makeSparse makes a file of zeros that takes no room.
func makeSparse(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

// unxz decompresses a file with the busybox that was fetched; the host may lack xz.
func unxz(ctx context.Context, busybox, path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cmd := exec.CommandContext(ctx, busybox, "unxz", "-c")
	cmd.Stdin = f
	return finish(cmd)
}
