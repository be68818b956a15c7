package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
)

func TestParsedOptionsKeepTheSecret(t *testing.T) {
	for _, args := range [][]string{{"-secret", "hush"}, {"--secret=hush"}} {
		line := words(args...)
		seen := slices.Clone(line)
		o, err := parseOptions(line, io.Discard, io.Discard)
		if err != nil || o.Secret != "hush" || strings.Contains(strings.Join(seen, " "), "hush") {
			t.Errorf("%q: got %q, %v, others read %q", args, o.Secret, err, seen)
		}
	}
}

func TestTheWorkerGetsNoSecretInItsEnvironment(t *testing.T) {
	got := withoutSecret([]string{"A=1", client.SecretEnv + "=hush", client.SecretEnv + "_OTHER=2", "B="})
	if want := []string{"A=1", client.SecretEnv + "_OTHER=2", "B="}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func forgetSecrets(t *testing.T) {
	for _, name := range []string{client.SecretEnv, client.SecretFileEnv, client.SocketEnv, client.CredentialsEnv} {
		t.Setenv(name, "") // put back at the end
		os.Unsetenv(name)
	}
}

func TestAMadeSecretIsWhereClientsFindIt(t *testing.T) {
	forgetSecrets(t)
	t.Setenv(client.SecretEnv, "") // as if it was not set
	o := options{Places: places{Socket: t.TempDir() + "/pm.sock"}}
	os.WriteFile(client.SecretBeside(o.Socket), []byte("of a dead daemon\n"), 0o666)
	secret, made, err := findSecret(o)
	if err != nil || len(secret) < 20 || made != client.SecretBeside(o.Socket) {
		t.Fatalf("got %q, %s, %v", secret, made, err)
	}
	if found, err := client.FindSecret(o.Socket); err != nil || string(found) != string(secret) {
		t.Errorf("a client finds %q, %v", found, err)
	}
	if info, err := os.Stat(made); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
}

func TestGivenSecretsAreNotWrittenDown(t *testing.T) {
	forgetSecrets(t)
	dir := t.TempDir()
	os.WriteFile(dir+"/file", []byte("from the file\n"), 0o600)
	o := options{Places: places{Socket: dir + "/pm.sock"}}
	check := func(want string) {
		t.Helper()
		secret, made, err := findSecret(o)
		if string(secret) != want || made != "" || err != nil {
			t.Errorf("got %q, %q, %v, want %q", secret, made, err, want)
		}
	}
	t.Setenv(client.SecretEnv, "from the environment")
	check("from the environment")
	o.SecretFile = dir + "/file"
	check("from the file")
	o.Secret, o.SecretFile = "from the flag", ""
	check("from the flag")
	if _, err := os.Stat(client.SecretBeside(o.Socket)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was made: %v", err)
	}
	o.Secret, o.SecretFile = "", dir+"/none"
	if _, _, err := findSecret(o); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
