package client_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
)

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestWhereTheSecretComesFrom takes the sources away one by one.
func TestWhereTheSecretComesFrom(t *testing.T) {
	forgetSecrets(t)
	dir := t.TempDir()
	socket, file := dir+"/pm.sock", dir+"/given"
	write(t, file, "from the flag\r\nsecond line\n")
	write(t, dir+"/secret", "from systemd")
	write(t, client.SecretBeside(socket), "from beside\n")
	os.Setenv(client.SecretEnv, "from the environment")
	os.Setenv("CREDENTIALS_DIRECTORY", dir)
	os.Setenv(client.SecretFileEnv, dir+"/named")
	write(t, dir+"/named", "from a file that the environment names\n")

	check := func(want string, secret []byte, err error) {
		t.Helper()
		if string(secret) != want || err != nil {
			t.Errorf("got %q, %v, want %q", secret, err, want)
		}
	}
	find := func() (string, []byte, error) {
		secret, err := client.FindSecret(socket)
		return string(secret), secret, err
	}
	secret, err := client.GivenSecret(file)
	check("from the flag", secret, err)
	_, secret, err = find()
	check("from the environment", secret, err)
	os.Unsetenv(client.SecretEnv)
	_, secret, err = find()
	check("from a file that the environment names", secret, err)
	os.Unsetenv(client.SecretFileEnv)
	_, secret, err = find()
	check("from systemd", secret, err)
	os.Remove(dir + "/secret")
	_, secret, err = find()
	check("from beside", secret, err)
	os.Unsetenv("CREDENTIALS_DIRECTORY")
	_, secret, err = find()
	check("from beside", secret, err)
	if _, err := client.GivenSecret(""); !errors.Is(err, client.ErrNoSecret) {
		t.Errorf("got %v", err)
	}
	os.Remove(client.SecretBeside(socket))
	if _, err := client.FindSecret(socket); !errors.Is(err, client.ErrNoSecret) {
		t.Errorf("got %v", err)
	}
}

// A source that is there and cannot be used is an error, not a reason to look on.
func TestAnUnusableSecretIsAnError(t *testing.T) {
	forgetSecrets(t)
	dir := t.TempDir()
	write(t, dir+"/empty", "\nsecond line")
	if secret, err := client.GivenSecret(dir + "/empty"); err == nil {
		t.Errorf("got %q", secret)
	}
	if _, err := client.GivenSecret(dir + "/none"); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "secret-file: ") {
		t.Errorf("got %v", err)
	}
	t.Setenv(client.SecretFileEnv, dir+"/none")
	if _, err := client.GivenSecret(""); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), client.SecretFileEnv+": ") {
		t.Errorf("got %v", err)
	}
	t.Setenv(client.SecretFileEnv, "")
	os.Mkdir(dir+"/secret", 0o700)
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	write(t, dir+"/pm.sock.secret", "from beside")
	if secret, err := client.FindSecret(dir + "/pm.sock"); err == nil {
		t.Errorf("got %q", secret)
	}
}

func TestDefaultPlaces(t *testing.T) {
	t.Setenv(client.SocketEnv, "")
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/me")
	want := "/run/user/me/processmanager"
	if os.Geteuid() == 0 {
		want = "/run/processmanager"
	}
	if got := client.RuntimeDir(); got != want {
		t.Errorf("got %s", got)
	}
	if got := client.DefaultSocket(); got != filepath.Join(want, "pm.sock") {
		t.Errorf("got %s", got)
	}
	t.Setenv(client.SocketEnv, "/given")
	if got := client.DefaultSocket(); got != "/given" {
		t.Errorf("with a variable: %s", got)
	}
}
