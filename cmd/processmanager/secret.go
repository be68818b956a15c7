package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/files"
	"github.com/freeflowuniverse/processmanager/supervisor/private"
	"github.com/freeflowuniverse/processmanager/telnet"
)

// withoutSecret is the environment that the worker gets: the secret reaches it
// another way.
func withoutSecret(environ []string) (kept []string) {
	for _, e := range environ {
		if !strings.HasPrefix(e, client.SecretEnv+"=") {
			kept = append(kept, e)
		}
	}
	return kept
}

// givenSecret is the secret that was given, if clients can send it; client.ErrNoSecret
// if there is none. An ordinary user's may be in his configuration, for the daemon that uses
// that; root's comes from there through the unit.
func givenSecret(o options) (secret []byte, err error) {
	if secret = []byte(o.Secret); o.Secret == "" {
		secret, err = client.GivenSecret(o.SecretFile)
	}
	if errors.Is(err, client.ErrNoSecret) && os.Geteuid() != 0 && o.State == client.StateDir() {
		found, readErr := private.ReadSecret(client.ConfigSecret())
		if !errors.Is(readErr, fs.ErrNotExist) {
			secret, err = found, readErr
		}
	}
	if err == nil {
		err = telnet.CheckSecret(secret)
	}
	return secret, err
}

// findSecret is the secret that was given, or one that is made and kept beside the
// socket, where this user's clients find it: that of a daemon that was killed is good
// still. made is that file, or empty. Both are there though it could not be written.
func findSecret(o options) (secret []byte, made string, err error) {
	secret, err = givenSecret(o)
	made = client.SecretBeside(o.Socket)
	if err == nil && formerSecret(made) != nil { // of a daemon that was killed; clients would take it for this one's
		return secret, "", remove(made)
	}
	if !errors.Is(err, client.ErrNoSecret) {
		return secret, "", err
	}
	if secret = formerSecret(made); secret == nil {
		secret = []byte(rand.Text())
	}
	return secret, made, keepSecret(made, secret)
}

// keepSecret has the secret in its file.
func keepSecret(path string, secret []byte) error {
	for _, name := range []string{path, path + ".new"} {
		if info, err := os.Lstat(name); err == nil && !private.IsOurs(info) {
			if err := moveAside("socket", name); err != nil {
				return err
			}
		}
	}
	if err := files.Put(path, append(bytes.Clone(secret), '\n')); err != nil {
		return fmt.Errorf("keep the secret: %w", err)
	}
	return nil
}

// formerSecret is what keepSecret has left at path: a file of this user that nobody else
// can read, with a secret such as rand.Text makes. Nil is anything else.
func formerSecret(path string) []byte {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil || st.Mode != unix.S_IFREG|0o600 || st.Uid != uint32(os.Geteuid()) || st.Nlink != 1 {
		return nil
	}
	data, err := files.Read(path, len(rand.Text())+1)
	if err != nil || !madeSecret.Match(data) {
		return nil
	}
	return bytes.TrimSuffix(data, []byte("\n"))
}

var madeSecret = regexp.MustCompile(`^[A-Z2-7]{26}\n$`)
