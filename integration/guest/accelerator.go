package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// kvmLimit is for a boot that takes a second where KVM works.
const kvmLimit = 20 * time.Second

// accelerator finds out whether KVM can be used: the device may be there, open,
// and answer, and a guest still never comes up. So one is booted, with nothing to
// do, and the finding kept until the host boots again.
func (c *cache) accelerator(ctx context.Context, tmp string, log io.Writer) (string, error) {
	device, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return tcg, nil
	}
	device.Close()
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	boot = bytes.TrimSpace(boot)
	if known, err := os.ReadFile(c.path("kvm")); err == nil {
		if id, found, ok := bytes.Cut(known, []byte(" ")); ok && bytes.Equal(id, boot) {
			return string(found), nil
		}
	}
	found, err := c.tryKVM(ctx, filepath.Join(tmp, "kvm"))
	if err != nil {
		return "", err
	}
	if found != kvm {
		fmt.Fprintln(log, "guest: /dev/kvm is there, but no guest boots with it; emulating")
	}
	// Another run may write the same at this moment, hence the rename.
	file := filepath.Join(c.dir, fmt.Sprintf("kvm.%d", os.Getpid()))
	if err := os.WriteFile(file, fmt.Appendf(nil, "%s %s", boot, found), 0o644); err != nil {
		return "", err
	}
	return found, os.Rename(file, c.path("kvm"))
}

// tryKVM boots any kernel without disks. init.sh comes to its first mark.
func (c *cache) tryKVM(ctx context.Context, dir string) (string, error) {
	for version := range c.state.Kernels {
		k, ok := c.kernel(version)
		if !ok {
			continue
		}
		initramfs, err := makeInitramfs(c.root(), k, initScript)
		if err != nil {
			return "", err
		}
		m := machine{store: c, image: k.image(), initramfs: initramfs, accelerator: kvm, memory: usualMemory, dir: dir, append: "LIMIT=0"}
		limited, cancel := context.WithTimeout(ctx, kvmLimit)
		defer cancel()
		err = m.boot(limited)
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if report, _ := os.ReadFile(m.report()); err == nil && parseTranscript(report).release != "" {
			return kvm, nil
		}
		return tcg, nil
	}
	return "", errors.New("none of the kernels is in Debian")
}
