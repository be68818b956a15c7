package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// Accelerators of QEMU.
const (
	kvm = "kvm"
	tcg = "tcg" // emulation
)

const (
	// usualMemory is what a guest has in MiB, unless told otherwise.
	usualMemory = 1536
	// resultsSize bounds what comes back in $RESULTS. The disk is sparse.
	resultsSize = 1 << 30
	// closing is what init.sh keeps of the time limit for its own end.
	closing = 20 * time.Second
	// upLimit is how long a guest may say nothing: a kernel whose emulated timer has been lost
	// hangs while it boots, and the next boot comes up.
	upLimit = 5 * time.Minute
)

// machine is one boot.
type machine struct {
	store       *cache
	image       string // the kernel
	append      string // for the kernel's command line
	initramfs   []byte
	accelerator string
	memory      int // MiB
	disks       []disk
	reboots     bool   // else a reboot is its end
	dir         string // for its files; made by boot
}

type disk struct{ path, options string }

// boot runs the machine until it is off, or ctx ends. What it said is in the
// files console and report, also after an error.
func (m machine) boot(ctx context.Context) error {
	if err := os.MkdirAll(m.dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(m.initrd(), m.initramfs, 0o644); err != nil {
		return err
	}
	args := m.store.tool("usr/bin/qemu-system-x86_64", m.arguments()...)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Env = append(os.Environ(),
		"TMPDIR="+m.dir, // for what is written to the scratch disk
		"QEMU_MODULE_DIR="+m.store.path("root", "usr/lib/x86_64-linux-gnu/qemu"))
	// Should we be killed, QEMU dies too. The signal comes when the thread that
	// started it ends, so the thread is kept.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("qemu: %w: %s", err, bytes.TrimSpace(said.Bytes()))
	}
	return nil
}

func (m machine) initrd() string  { return filepath.Join(m.dir, "initrd") }
func (m machine) console() string { return filepath.Join(m.dir, "console") }
func (m machine) report() string  { return filepath.Join(m.dir, "report") }

// arguments are QEMU's.
func (m machine) arguments() []string {
	args := []string{
		"-L", m.store.path("root", "usr/share/qemu"), "-L", m.store.path("root", "usr/share/seabios"),
		"-M", "q35", "-smp", "2", "-m", strconv.Itoa(m.memory),
		"-nodefaults", "-no-user-config", "-display", "none",
		"-kernel", m.image, "-initrd", m.initrd(),
		"-append", "console=ttyS0 quiet panic=-1 oops=panic mitigations=off nokaslr random.trust_cpu=on " + m.append,
		"-serial", "file:" + m.console(), "-serial", "file:" + m.report(),
	}
	if !m.reboots {
		args = append(args, "-no-reboot")
	}
	if m.accelerator == kvm {
		args = append(args, "-accel", "kvm", "-cpu", "host")
	} else {
		// la57 (five-level page tables) costs time and gives nothing here.
		args = append(args, "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max,-la57")
	}
	for _, d := range m.disks {
		args = append(args, "-drive", "if=virtio,format=raw,file="+d.path+d.options)
	}
	return args
}

// guest is one kernel with the tests to run on it.
type guest struct {
	store       *cache
	kernel      kernel
	accelerator string
	payload     payload
	systemd     bool
	install     debian
	memory      int // MiB
	limit       time.Duration
	dir         string
}

// outcome is what came of a guest.
type outcome struct {
	transcript
	kernel      string // the package's name
	accelerator string
	took        time.Duration
	results     string // the file with the results disk
	console     []byte
	journal     []byte // where systemd runs
	err         error  // why it did not finish
}

// run boots the guest, and if it does not finish once more, emulated.
func (g guest) run(ctx context.Context) outcome {
	first := g.attempt(ctx, g.accelerator, "first")
	if first.err == nil || ctx.Err() != nil {
		return first
	}
	second := g.attempt(ctx, tcg, "second")
	second.took += first.took
	if second.err != nil {
		second.err = fmt.Errorf("%w; and before: %w", second.err, first.err)
	}
	return second
}

func (g guest) attempt(ctx context.Context, accelerator, name string) outcome {
	begin := time.Now()
	o := outcome{kernel: g.kernel.name, accelerator: accelerator}
	dir := filepath.Join(g.dir, name)
	o.results = filepath.Join(dir, "results")
	o.err = func() error {
		init, root := initScript, g.store.path("scratch.ext4")
		if g.systemd {
			init, root = systemdScript, g.store.path(g.install.image())
		}
		initramfs, err := makeInitramfs(g.store.root(), g.kernel, init)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := makeSparse(o.results, resultsSize); err != nil {
			return err
		}
		m := machine{
			store: g.store, image: g.kernel.image(), initramfs: initramfs, accelerator: accelerator, memory: g.memory, dir: dir,
			reboots: g.systemd,
			append:  fmt.Sprintf("GUEST=%s LIMIT=%d", g.kernel.version, int((g.limit - closing).Seconds())),
			disks: []disk{
				{g.payload.tar, ",readonly=on"},
				{o.results, ""},
				{root, ",snapshot=on"},
			},
		}
		ctx, cancel := context.WithTimeoutCause(ctx, g.limit, fmt.Errorf("not finished after %v", g.limit))
		defer cancel()
		ctx, stuck := context.WithCancelCause(ctx)
		defer stuck(nil)
		silence := time.AfterFunc(upLimit, func() {
			if info, err := os.Stat(m.report()); err == nil && info.Size() == 0 {
				stuck(fmt.Errorf("not up after %v", upLimit))
			}
		})
		defer silence.Stop()
		err = m.boot(ctx)
		o.console, _ = os.ReadFile(m.console())
		report, _ := os.ReadFile(m.report())
		o.transcript = parseTranscript(report)
		if g.systemd {
			o.journal = readResult(o.results, "journal")
		}
		if err == nil && !o.done {
			err = fmt.Errorf("ended before its tests did")
		}
		return err
	}()
	o.took = time.Since(begin)
	return o
}
