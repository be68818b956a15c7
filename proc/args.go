package proc

import (
	"strings"
	"unsafe"
)

// ClearArg returns a copy of arg, an element of os.Args or a tail of one, and
// overwrites the original with blanks, so that ps and /proc/PID/cmdline show it no longer.
// Every other string that shares its bytes changes too: keep the copy.
//
// arg must come from os.Args, whose bytes Go leaves where the kernel put them.
// Any other string may lie in read-only memory, and the program would die.
func ClearArg(arg string) string {
	kept := strings.Clone(arg)
	original := unsafe.Slice(unsafe.StringData(arg), len(arg))
	for i := range original {
		original[i] = ' '
	}
	return kept
}
