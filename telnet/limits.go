package telnet

import (
	"bytes"
	"fmt"
	"strings"
)

// What both ends of a connection must agree on is checked by one function for both: a
// daemon is not to take what no client can use.

// MaxSocketPath is what fits into a socket address with its NUL, in bytes.
const MaxSocketPath = 107

// CheckSocketPath reports why there can be no socket at path.
func CheckSocketPath(path string) error {
	switch {
	case path == "":
		return fmt.Errorf("the socket path is empty: give one with -socket")
	case strings.IndexByte(path, 0) >= 0:
		return fmt.Errorf("the socket path %s holds a NUL byte: give another one with -socket", path)
	case len(path) > MaxSocketPath:
		return fmt.Errorf("the socket path %s has %d bytes, the kernel takes %d: give a shorter one with -socket", path, len(path), MaxSocketPath)
	}
	return nil
}

// MaxSecret is the most bytes of a secret.
const MaxSecret = 4 << 10

// CheckSecret reports why a secret cannot be sent. It is never in the error.
func CheckSecret(secret []byte) error {
	switch {
	case len(secret) == 0:
		return fmt.Errorf("the secret is empty: a secret is one line of text")
	case bytes.ContainsAny(secret, "\r\n"):
		return fmt.Errorf("the secret has several lines: a secret is one line of text")
	case bytes.IndexByte(secret, 0) >= 0 || bytes.IndexByte(secret, cmdIAC) >= 0:
		return fmt.Errorf("the secret holds a byte 0x00 or 0xff: a secret is one line of text")
	case len(secret) > MaxSecret:
		return fmt.Errorf("the secret has %d bytes, at most %d", len(secret), MaxSecret)
	}
	return nil
}
