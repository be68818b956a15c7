package client

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"unsafe"
)

// HideSecret overwrites the values of the flags -secret and -env in the argument list
// that others can read in /proc, and gives args copies in their place.
//
// The elements of args must be those of os.Args, whose bytes Go leaves where the
// kernel put them: any other string may lie in read-only memory, and the program
// would die. Every other string that shares their bytes changes too.
func HideSecret(args []string) {
	for i, arg := range args {
		name, _, inOne := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch {
		case !strings.HasPrefix(arg, "-") || name != "secret" && name != "env":
		case inOne:
			args[i] = clearArg(arg)
		case i+1 < len(args):
			args[i+1] = clearArg(args[i+1])
		}
	}
}

// HideSecretEnv removes $PROCESSMANAGER_SECRET from the environment, and overwrites it
// where the same user could read it in /proc as long as this process lives. Go has a
// copy of its own; the kernel's stands behind env_start, field 50 of /proc/self/stat.
func HideSecretEnv() error {
	if _, ok := os.LookupEnv(SecretEnv); !ok {
		return nil
	}
	os.Unsetenv(SecretEnv)
	environ, err := os.ReadFile("/proc/self/environ")
	stat, statErr := os.ReadFile("/proc/self/stat")
	memory, memErr := os.OpenFile("/proc/self/mem", os.O_WRONLY, 0)
	if err := errors.Join(err, statErr, memErr); err != nil {
		return err
	}
	defer memory.Close()
	const envStart = 50 - 3 // from the state, which is field 3, behind the name
	start, err := strconv.ParseInt(strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))[envStart], 10, 64)
	if err != nil {
		return err
	}
	for e := range bytes.SplitAfterSeq(environ, []byte{0}) {
		if value, ok := bytes.CutPrefix(e, []byte(SecretEnv+"=")); ok {
			blanks := bytes.Repeat([]byte{' '}, len(value)-1)
			if _, err := memory.WriteAt(blanks, start+int64(len(e)-len(value))); err != nil {
				return err
			}
		}
		start += int64(len(e))
	}
	return nil
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
