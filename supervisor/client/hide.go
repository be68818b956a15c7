package client

import (
	"strings"
	"unsafe"
)

// HideSecret overwrites the value of the flag -secret in the argument list that
// others can read in /proc, and gives args a copy in its place.
//
// The elements of args must be those of os.Args, whose bytes Go leaves where the
// kernel put them: any other string may lie in read-only memory, and the program
// would die. Every other string that shares their bytes changes too.
func HideSecret(args []string) {
	for i, arg := range args {
		name, _, inOne := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch {
		case !strings.HasPrefix(arg, "-") || name != "secret":
		case inOne:
			args[i] = clearArg(arg)
		case i+1 < len(args):
			args[i+1] = clearArg(args[i+1])
		}
	}
}

// clearArg returns a copy of arg and overwrites the original with blanks.
func clearArg(arg string) string {
	kept := strings.Clone(arg)
	original := unsafe.Slice(unsafe.StringData(arg), len(arg))
	for i := range original {
		original[i] = ' '
	}
	return kept
}
