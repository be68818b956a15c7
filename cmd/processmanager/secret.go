package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
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

// findSecret is the secret that was given, or one that is made and kept beside the
// socket, where this user's clients find it. made is that file, or empty.
func findSecret(o options) (secret []byte, made string, err error) {
	if o.secret != "" {
		return []byte(o.secret), "", nil
	}
	secret, err = client.GivenSecret(o.secretFile)
	if !errors.Is(err, client.ErrNoSecret) {
		return secret, "", err
	}
	made = client.SecretBeside(o.Socket)
	secret = []byte(rand.Text())
	if err := os.Remove(made); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", err
	}
	f, err := os.OpenFile(made, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, "", fmt.Errorf("keep the secret: %w", err)
	}
	_, err = fmt.Fprintf(f, "%s\n", secret)
	return secret, made, errors.Join(err, f.Close())
}
