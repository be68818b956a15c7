package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// errFailed is the answer when the report has said already what is wrong.
var errFailed = errors.New("failed")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case errors.Is(err, errFailed):
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	cache    string
	kernels  []string
	limit    time.Duration // for one guest, from power on to power off
	jobs     int
	files    []file
	results  string
	verbose  bool
	systemd  bool // the guest's PID 1 is systemd
	install  debian
	memory   int // MiB
	setup    bool
	table    string   // the choice of the table to run; empty: packages
	rows     []string // the places of it; none: all
	docs     string   // the document to write its results into
	packages []string
	args     []string // for the test binaries
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	o := options{}
	flags := flag.NewFlagSet("guest", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: guest [flags] packages [-- test binary flags]")
		flags.PrintDefaults()
	}
	kernels := flags.String("kernel", strings.Join(allKernels, ","), "`versions` of the kernels to boot; with -table, only those of its kernels")
	flags.StringVar(&o.cache, "cache", defaultCache(), "`directory` that keeps QEMU and the kernels; the default is taken from $GUEST_CACHE, if set")
	flags.DurationVar(&o.limit, "limit", 8*time.Minute, "time limit of one guest")
	flags.IntVar(&o.jobs, "jobs", 2, "guests that run side by side")
	flags.Func("file", "`name=path`: put a file of the host into the guest's /usr/local/bin, or where a name with a / says; may be repeated", func(s string) error {
		f, err := parseFile(s)
		o.files = append(o.files, f)
		return err
	})
	flags.StringVar(&o.results, "results", "", "`directory` for what the tests write to $RESULTS")
	flags.BoolVar(&o.verbose, "v", false, "show all output")
	flags.BoolVar(&o.systemd, "systemd", false, "boot Debian 12 with systemd; setting that up takes root")
	install := flags.String("install", "", "Debian `packages` that are there besides, with -systemd")
	flags.IntVar(&o.memory, "memory", usualMemory, "`MiB` of memory that a guest has")
	flags.BoolVar(&o.setup, "setup", false, "fetch QEMU and the kernels afresh; without packages, do no more")
	flags.StringVar(&o.table, "table", "", "test the rows of the table of places: the `choice` quick or all")
	flags.Func("row", "test only the row of this `place` in the table; may be repeated", func(s string) error {
		o.rows = append(o.rows, s)
		return nil
	})
	flags.StringVar(&o.docs, "docs", "", "Markdown `file` of the table's results: those of this run replace older ones in it")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.kernels, o.install = words(*kernels), words(*install)
	slices.Sort(o.install)
	o.packages = flags.Args()
	if i := slices.Index(o.packages, "--"); i >= 0 {
		o.packages, o.args = o.packages[:i], o.packages[i+1:]
	}
	named := false
	flags.Visit(func(f *flag.Flag) { named = named || f.Name == "kernel" })
	if o.table != "" && !named { // all that it has, this machine too
		o.kernels = nil
	}
	switch {
	case len(o.kernels) == 0 && (o.table == "" || named):
		return o, errors.New("no kernel named")
	case len(o.install) > 0 && !o.systemd:
		return o, errors.New("-install needs -systemd: other guests have no Debian")
	case o.table != "" && len(o.packages) > 0:
		return o, errors.New("-table has packages of its own: name none")
	case o.table == "" && (len(o.rows) > 0 || o.docs != ""):
		return o, errors.New("-row and -docs go with -table")
	case len(o.packages) == 0 && !o.setup && o.table == "":
		return o, errors.New("no packages named")
	case o.jobs < 1:
		return o, fmt.Errorf("-jobs %d: must be at least 1", o.jobs)
	}
	return o, nil
}

// debians are those that the guests need.
func (o *options) debians() []debian {
	if !o.systemd {
		return nil
	}
	return []debian{o.install}
}

// words are those of a list with commas or blanks.
func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

func defaultCache() string {
	if dir := os.Getenv("GUEST_CACHE"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil { // no home directory, as in some build machines
		dir = "/var/cache"
	}
	return filepath.Join(dir, "processmanager-guest")
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	if o.table != "" {
		return runTable(ctx, o, stdout, stderr)
	}
	store, err := openCache(ctx, o.cache, o.kernels, o.debians(), o.setup, stderr)
	if err != nil {
		return fmt.Errorf("set up in %s: %w", o.cache, err)
	}
	defer store.Close()
	if len(o.packages) == 0 {
		return nil
	}

	work, err := newWorkdir(os.TempDir())
	if err != nil {
		return err
	}
	defer work.Close()
	printer := reporter{out: stdout, verbose: o.verbose}
	load, err := makePayload(ctx, work.path, o, stderr)
	if err != nil {
		return err
	}
	for _, pkg := range load.broken {
		printer.broken(pkg)
	}
	if len(load.packages) == 0 {
		return printer.close()
	}
	only := order{row: row{kernels: o.kernels}, options: o, load: load}
	if err := runGuests(ctx, o, store, []order{only}, work.path, &printer, newResults(nil), stderr); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return printer.close()
}
