package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"
)

// order is a row made ready: what its guests are given.
type order struct {
	row
	options options
	load    payload
}

// runTable tests the chosen rows of the table, and says how each went.
func runTable(ctx context.Context, o options, stdout, stderr io.Writer) error {
	rows, err := choose(table, o.table, o.rows, o.kernels)
	if err != nil {
		return err
	}
	var docs document
	if o.docs != "" {
		if docs, err = openDocument(o.docs); err != nil { // before hours of tests
			return err
		}
	}
	work, err := newWorkdir(os.TempDir())
	if err != nil {
		return err
	}
	defer work.Close()
	printer := &reporter{out: stdout, verbose: o.verbose}
	results := newResults(rows)

	var here, guests []order
	var kernels []string
	var debians []debian
	for i, r := range rows {
		ready := order{row: r}
		if ready.options, err = parseOptions(slices.Concat(r.flags, r.tests), stderr); err != nil {
			return fmt.Errorf("row %q of the table: %w", r.place, err)
		}
		if slices.Equal(r.kernels, []string{host}) {
			here = append(here, ready)
			continue
		}
		dir := filepath.Join(work.path, strconv.Itoa(i))
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		if ready.load, err = makePayload(ctx, dir, ready.options, stderr); err != nil {
			return err
		}
		for _, pkg := range ready.load.broken {
			printer.broken(pkg)
			results.add(r.place, result{failed: 1}, r.kernels...)
		}
		guests = append(guests, ready)
		kernels = append(kernels, r.kernels...)
		debians = append(debians, ready.options.debians()...)
	}

	// The tests of this machine have it for themselves: guests take all it has.
	for _, r := range here {
		results.add(r.place, printer.here(ctx, r), host)
	}
	if len(guests) > 0 {
		store, err := openCache(ctx, o.cache, kernels, debians, o.setup, stderr)
		if err != nil {
			return fmt.Errorf("set up in %s: %w", o.cache, err)
		}
		defer store.Close()
		if err := runGuests(ctx, o, store, guests, work.path, printer, results, stderr); err != nil {
			return err
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\n%s\n", results.text())
	if o.docs != "" {
		if err := docs.update(results); err != nil {
			return err
		}
	}
	return printer.close()
}

// runGuests boots a guest for each row and kernel, some side by side.
func runGuests(ctx context.Context, o options, store *cache, orders []order, work string, printer *reporter, results *results, stderr io.Writer) error {
	hardware, err := store.accelerator(ctx, work, stderr)
	if err != nil {
		return err
	}
	var (
		guests sync.WaitGroup
		slots  = make(chan struct{}, o.jobs)
	)
	for _, r := range orders {
		if len(r.load.packages) == 0 {
			continue
		}
		for _, version := range r.kernels {
			k, ok := store.kernel(version)
			if !ok {
				printer.missing(version)
				results.add(r.place, result{missing: true}, version)
				continue
			}
			slots <- struct{}{} // in the order of the table
			guests.Go(func() {
				defer func() { <-slots }()
				g := guest{
					store: store, kernel: k, accelerator: hardware, payload: r.load,
					systemd: r.options.systemd, install: r.options.install, memory: r.options.memory, limit: r.options.limit, dir: filepath.Join(filepath.Dir(r.load.tar), version),
				}
				outcome := g.run(ctx)
				if o.results != "" {
					if err := unpackResults(outcome.results, filepath.Join(o.results, r.place, version)); err != nil && outcome.err == nil {
						outcome.err = err
					}
				}
				printer.guest(r.name(version), r.load.packages, outcome)
				results.add(r.place, outcome.result(len(r.load.packages)), version)
			})
		}
	}
	guests.Wait()
	return nil
}

// here runs a row on this machine, with go test.
func (r *reporter) here(ctx context.Context, o order) result {
	begin := time.Now()
	args := slices.Concat([]string{"test", "-count=1", "-v", "-timeout=" + o.options.limit.String()}, o.options.packages, []string{"-args"}, o.options.args)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), static...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	run := testRun{pkg: o.place, end: time.Since(begin).Seconds(), output: output.Bytes()}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		run.code = exit.ExitCode()
	} else if err != nil {
		run.code, run.output = -1, append(run.output, err.Error()...)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.guests++
	r.run("this machine", run)
	return outcome{transcript: transcript{runs: []testRun{run}}, took: time.Since(begin)}.result(1)
}
