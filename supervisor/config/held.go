package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Held is what a daemon works with, for a worker that reads the configuration file again.
// It goes from the keeper to the worker.
type Held struct {
	Path   string           // of the file; empty: nothing is read
	Must   bool             // it was named
	Above  []string         // flags that command line or environment decide
	Given  map[string]given // what these say, but for the secret; a keeper of a former version does not tell
	Values map[string]given // of the file
}

// Held is what a worker needs to read the file again.
func (c *Config) Held() Held {
	if c.File == "/dev/stdin" || strings.HasPrefix(c.File, "/dev/fd/") || strings.HasPrefix(c.File, "/proc/") { // of this process, and read
		return Held{}
	}
	h := Held{Path: c.File, Must: c.Options.Config != "", Given: map[string]given{}, Values: map[string]given{}}
	for name, value := range c.given {
		if value.From.File == "" {
			h.Above = append(h.Above, name)
			if f := lookup(name); f != nil && !f.secret {
				h.Given[name] = value
			}
		} else {
			h.Values[name] = value
		}
	}
	if slices.Contains(h.Above, "secret") { // that is the choice, see settle
		h.Above = append(h.Above, "secret-file")
	}
	return h
}

// Reread reads the file again. o, which are the options that hold, follows it where a worker
// can; said are lines that tell what has changed. A file with mistakes changes nothing.
//
// Errors: Mistakes.
func (h Held) Reread(o *Options) (said []string, err error) {
	if h.Path == "" {
		return nil, nil
	}
	values, wrong := readFile(h.Path, h.Must)
	if wrong != nil {
		return nil, wrong
	}
	for _, name := range h.Above {
		delete(values, name)
	}
	fresh := &Config{given: map[string]given{}} // what the next start would find
	maps.Copy(fresh.given, values)
	for name, value := range h.Given {
		fresh.offer(name, value)
	}
	if wrong := fresh.settle(); wrong != nil {
		return nil, wrong
	}
	for i := range Flags {
		f := &Flags[i]
		now, is := values[f.Name]
		former, was := h.Values[f.Name]
		if is == was && now.Text == former.Text {
			continue
		}
		what := fmt.Sprintf("%v: %s = %s", now.From, f.Name, now.Text)
		if !is {
			what = fmt.Sprintf("%s: %s is no longer there", h.Path, f.Name)
		}
		if !f.Follows {
			said = append(said, what+" takes a restart of the daemon")
			continue
		}
		said = append(said, what+" holds from now on")
		if !is {
			now.Text = f.initial
		}
		if err := f.set(o, now.Text); err != nil {
			said = append(said, fmt.Sprintf("%s: %v", what, err))
		}
	}
	return said, nil
}
