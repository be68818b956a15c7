package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/freeflowuniverse/processmanager/heroscript/verbs"
)

// runScript carries out a file of heroscript, or standard input for "-".
func runScript(ctx context.Context, conn connection, args []string, stdin io.Reader, stdout *output) error {
	f := quietFlags("run")
	conn.register(f)
	words, err := parseWords(f, args)
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return usageOf("run", "run takes one file, or - for standard input")
	}
	name := "standard input"
	read := func() ([]byte, error) { return io.ReadAll(stdin) }
	if words[0] != "-" {
		name = words[0]
		read = func() ([]byte, error) { return os.ReadFile(name) }
	}
	text, err := readUntil(ctx, read)
	var path *fs.PathError
	if errors.As(err, &path) && path.Op == "open" {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	c, err := conn.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := verbs.RunScript(ctx, follower{c, stdout.raw}, string(text), stdout, stdout.columns); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// readUntil reads what may never end, a terminal or a FIFO, until ctx does. The read
// itself ends with this process.
func readUntil(ctx context.Context, read func() ([]byte, error)) ([]byte, error) {
	var text []byte
	done := make(chan error, 1)
	go func() {
		var err error
		text, err = read()
		done <- err
	}()
	select {
	case err := <-done:
		return text, err
	case <-ctx.Done():
		return nil, errors.New("interrupted; nothing was carried out")
	}
}
