package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/freeflowuniverse/processmanager/supervisor/private"
)

// Variables of the environment.
const (
	SecretEnv      = "PROCESSMANAGER_SECRET"      // the secret
	SecretFileEnv  = "PROCESSMANAGER_SECRET_FILE" // the file whose first line is the secret
	SocketEnv      = "PROCESSMANAGER_SOCKET"      // the socket of the daemon
	CredentialsEnv = "CREDENTIALS_DIRECTORY"      // a directory of systemd with the file "secret"
)

// DefaultSocket is the socket in $PROCESSMANAGER_SOCKET, or else that of this user's daemon.
func DefaultSocket() string {
	if socket := os.Getenv(SocketEnv); socket != "" {
		return socket
	}
	return ownSocket()
}

// ownSocket is that of this user's daemon.
func ownSocket() string { return SocketIn(RuntimeDir()) }

// SocketIn is the socket in a runtime directory.
func SocketIn(runtimeDir string) string { return runtimeDir + "/pm.sock" }

// SecretBeside is the file, beside the socket, in which a daemon that was given no
// secret keeps the one it made.
func SecretBeside(socket string) string { return socket + ".secret" }

// SecretFlag is what sets secret to the value of -secret. An empty one, such as that of
// a variable that is not set, is an error, and not as if none was given.
func SecretFlag(secret *string) func(string) error {
	return func(text string) error {
		if text == "" {
			return errors.New("-secret is empty")
		}
		*secret = text
		return nil
	}
}

// ErrNoSecret is a secret that was looked for and not found.
var ErrNoSecret = errors.New("no secret")

// GivenSecret is the secret that the caller was given: in a file, if file is not
// empty, in $PROCESSMANAGER_SECRET, in the file $PROCESSMANAGER_SECRET_FILE, or in
// $CREDENTIALS_DIRECTORY/secret. None of them is ErrNoSecret.
func GivenSecret(file string) ([]byte, error) {
	if file != "" {
		return secretOf("secret-file", file)
	}
	if secret := os.Getenv(SecretEnv); secret != "" {
		return []byte(secret), nil
	}
	if file := os.Getenv(SecretFileEnv); file != "" {
		return secretOf(SecretFileEnv, file)
	}
	if dir := os.Getenv(CredentialsEnv); dir != "" {
		secret, err := private.ReadSecret(dir + "/secret")
		if !errors.Is(err, fs.ErrNotExist) {
			return secret, err
		}
	}
	return nil, ErrNoSecret
}

// secretOf is the secret in a file. An error says who named the file.
func secretOf(by, file string) ([]byte, error) {
	secret, err := private.ReadSecret(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", by, err)
	}
	return secret, nil
}

// rootSocket is that of root's daemon.
const rootSocket = "/run/processmanager/pm.sock"

// ConfigSecret is the file with the secret of this user's daemon, where he wants a certain one.
func ConfigSecret() string { return ConfigDir() + "/secret" }

// configSecrets are where the secret of a daemon is that has not made one. Root, and whoever
// else may read them, finds that of processmanager.service: what systemd has loaded for it, with
// LoadCredential=secret:…, and, before it runs, the file that this comes from.
func configSecrets(socket string) []string {
	switch socket {
	case rootSocket:
		return []string{"/run/credentials/processmanager.service/secret", "/etc/processmanager/secret"}
	case ownSocket():
		return []string{ConfigSecret()}
	}
	return nil
}

// FindSecret is the given secret, or else the one beside the socket, or for the socket of
// root's daemon, or of this user's, that of the configuration.
func FindSecret(socket string) ([]byte, error) {
	secret, err := GivenSecret("")
	if !errors.Is(err, ErrNoSecret) {
		return secret, err
	}
	secret, err = private.ReadSecret(SecretBeside(socket))
	if errors.Is(err, fs.ErrNotExist) {
		for _, file := range configSecrets(socket) {
			given, unitErr := private.ReadSecret(file)
			closed := errors.Is(unitErr, fs.ErrPermission) && os.Geteuid() != 0
			if !closed && !errors.Is(unitErr, fs.ErrNotExist) {
				return given, unitErr
			}
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: set $%s, give -secret-file, or be the user whose daemon made %s", ErrNoSecret, SecretEnv, SecretBeside(socket))
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w: %s belongs to another user; set $%s or give -secret-file", ErrNoSecret, SecretBeside(socket), SecretEnv)
	}
	return secret, err
}
