package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/freeflowuniverse/processmanager/supervisor/config"
	"github.com/freeflowuniverse/processmanager/telnet/lineedit"
	"github.com/freeflowuniverse/processmanager/telnet/screen"
)

// help lists the flags, as wide as the window.
func help(stdout io.Writer) {
	var b bytes.Buffer
	fmt.Fprintln(&b, "usage: processmanager [flags]")
	f := config.FlagSet(nil)
	f.SetOutput(&b)
	f.PrintDefaults()
	text := strings.ReplaceAll(b.String(), "    \t", "        ") // package flag begins the help of a flag so
	io.WriteString(stdout, screen.Fold(text, screen.Columns(lineedit.Columns(stdout))))
}
