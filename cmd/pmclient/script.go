package main

import (
	"context"
	"fmt"
	"io"
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
	file, name := stdin, "standard input"
	if words[0] != "-" {
		name = words[0]
		opened, err := os.Open(name)
		if err != nil {
			return usageError{err}
		}
		defer opened.Close()
		file = opened
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	c, err := conn.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := verbs.RunScript(ctx, c, string(text), stdout, stdout.columns); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
