// Command openmetrics reads a scrape as Prometheus does, by its own parser. It is a module of
// its own, so that nobody gets the parser's with the programs.
//
//	openmetrics CONTENT-TYPE <scrape
//
// It prints a line for each series, its labels and its value, and fails at the first that
// Prometheus would not take.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

func main() {
	if err := run(os.Args[1], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(contentType string, from io.Reader, to io.Writer) error {
	scrape, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	p, err := textparse.New(scrape, contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("entry %d: %w", n, err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var l labels.Labels
		p.Labels(&l)
		_, _, value := p.Series()
		if _, err := fmt.Fprintf(to, "%s %s\n", l, strconv.FormatFloat(value, 'g', -1, 64)); err != nil {
			return err
		}
	}
}
