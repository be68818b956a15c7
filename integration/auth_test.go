package integration

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

const otherSecret = "s3cret-of-another-place"

func TestSecretComesFromEachOfItsSources(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/secret"
	if err := os.WriteFile(file, []byte(otherSecret+"\nsecond line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := file[:len(file)-len("/secret")]
	for source, s := range map[string]setup{
		"-secret":                {Args: []string{"-secret", otherSecret}},
		"-secret=":               {Args: []string{"-secret=" + otherSecret}},
		"--secret":               {Args: []string{"--secret", otherSecret}},
		"-secret-file":           {Args: []string{"-secret-file", file}},
		"$PROCESSMANAGER_SECRET": {Env: []string{client.SecretEnv + "=" + otherSecret}},
		"$CREDENTIALS_DIRECTORY": {Env: []string{"CREDENTIALS_DIRECTORY=" + dir}},
		"flag before the rest": {
			Args: []string{"-secret", otherSecret, "-secret-file", "/nowhere"},
			Env:  []string{client.SecretEnv + "=wrong"},
		},
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			s.NoSecret = true
			d := startDaemon(t, s)
			pm, err := client.Dial(d.context(), client.Config{Socket: d.socket, Secret: []byte(otherSecret)})
			if err != nil {
				t.Fatal(err)
			}
			defer pm.Close()
			if _, err := pm.Start(d.context(), process.Spec{Name: "env", Command: "env; exec sleep 1000"}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the environment is written", func() bool {
				data, err := pm.LogLines(d.context(), "env", 1000)
				return err == nil && strings.Contains(string(data), "PROCESSMANAGER_NAME=env")
			})
			data, err := pm.LogLines(d.context(), "env", 1000)
			if err != nil || strings.Contains(string(data), otherSecret) || strings.Contains(string(data), "SECRET") || strings.Contains(string(data), "CREDENTIALS") {
				t.Errorf("a run's environment: %s, %v", data, err)
			}
			for what, pid := range map[string]int{"keeper": d.keeper(), "worker": d.worker()} {
				if line := cmdline(pid); line == "" || strings.Contains(line, otherSecret) {
					t.Errorf("arguments of the %s: %q", what, line)
				}
			}
			if environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", d.worker())); err != nil || strings.Contains(string(environ), otherSecret) {
				t.Errorf("environment of the worker: %q, %v", environ, err)
			}
			if !gone(client.SecretBeside(d.socket)) {
				t.Error("a secret was made beside the socket")
			}
		})
	}
}

func TestClientHidesItsSecret(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "talks", Logging: process.Logging{Log: true}, Command: "echo up; exec sleep 1000"})
	for _, args := range [][]string{
		{"-secret", theSecret, "logs", "-f", "talks"},
		{"--secret=" + theSecret, "logs", "-f", "talks"},
		{"logs", "-f", "talks", "-secret", theSecret},
	} {
		p := openTerminal(t, d.dir, append([]string{programs.client, "-socket", d.socket}, args...)...)
		p.sees("up")
		if line := cmdline(p.cmd.Process.Pid); !strings.Contains(line, "talks") || strings.Contains(line, theSecret) {
			t.Errorf("others read %q", line)
		}
		p.types(ctrlC)
		if code := p.ends(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
}

func TestEmptySecretFileIsRefused(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "\n", "\nsecret\n"} {
		d := newDaemon(t, setup{NoSecret: true})
		file := d.dir + "/secret"
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if said := d.refuse("-secret-file", file); !strings.Contains(said, file) {
			t.Errorf("%q: it says %q", content, said)
		}
	}
	d := newDaemon(t, setup{NoSecret: true})
	if said := d.refuse("-secret-file", d.dir+"/none"); !strings.Contains(said, d.dir+"/none") {
		t.Errorf("no file: it says %q", said)
	}
}

func TestSecretThatIsMadeIsFoundByTheClientOfTheSameUser(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{NoSecret: true})
	file := client.SecretBeside(d.socket)
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%s: %v, %v", file, info, err)
	}
	if r := d.execute(programs.client, "-socket", d.socket, "list", "-format", "json"); r.code != 0 || r.stdout != "[]\n" {
		t.Errorf("%+v", r)
	}
	if r := d.execute(programs.client, "-socket", d.socket, "-secret-file", file, "list", "-format", "json"); r.code != 0 || r.stdout != "[]\n" {
		t.Errorf("by -secret-file: %+v", r)
	}
	if info, err := os.Stat(d.socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	first, err := os.ReadFile(file)
	if err != nil || len(first) < 20 {
		t.Errorf("%q, %v", first, err)
	}
	if code := d.end(syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if !gone(file) {
		t.Error("the secret is left")
	}
}

func TestWrongSecretCostsASecondAndTheThirdTheConnection(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	w := d.connect(t)
	w.expect(bannerAsk)
	for range 3 {
		began := time.Now()
		w.send("not it\n")
		w.expect(bannerWrong)
		if took := time.Since(began); took < time.Second {
			t.Errorf("the answer came after %v", took)
		}
	}
	if _, err := w.r.ReadByte(); err != io.EOF {
		t.Errorf("after the third: %v", err)
	}
	w = d.connect(t)
	w.expect(bannerAsk)
	w.send("not it\n" + theSecret + "\n")
	w.expect(bannerWrong)
	w.expect(bannerOK)
	if got := w.ask("!!process.list format:json"); got != "[]\n" {
		t.Errorf("%q", got)
	}
	if text := d.log.since(0); strings.Contains(text, "not it") || strings.Contains(text, theSecret) {
		t.Errorf("a secret is in the log: %s", text)
	}
}

func TestNothingButTheBannerIsAnsweredBefore(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	w := d.connect(t)
	w.expect(bannerAsk)
	w.send("!!process.start name:x command:true\n\n!!help\n!!process.list\n")
	if got := w.rest(); strings.ReplaceAll(got, bannerWrong+"\n", "") != "" || strings.Contains(got, " authenticated") {
		t.Errorf("got %q", got)
	}
	if len(d.list()) != 0 {
		t.Error("it was carried out")
	}
}

func TestLittleIsReadBefore(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	w := d.connect(t)
	w.expect(bannerAsk)
	began := time.Now()
	_, err := io.WriteString(w.conn, strings.Repeat("x", 100<<10)) // it may be cut off while it is sent
	if err == nil {
		var rest []byte
		rest, err = io.ReadAll(w.r)
		if len(rest) > 0 {
			t.Errorf("got %q", rest)
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) > 20*time.Second {
		t.Errorf("the connection is open after %v: %v", time.Since(began), err)
	}
	if len(d.list()) != 0 {
		t.Error("?")
	}
}
