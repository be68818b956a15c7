package integration

import (
	"os"
	"strings"
	"testing"
)

// What cannot be is refused by the daemon and by its client in the same words.
func TestBothSidesRefuseTheSame(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("s", 5000)
	secretFile := func(d *daemon, text string) string {
		path := d.dir + "/secret"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for what, test := range map[string]struct {
		flags func(d *daemon) []string
		says  string
	}{
		"a socket path too long": {func(d *daemon) []string { return []string{"-secret", "s", "-socket", d.dir + "/" + long} }, "the kernel takes 107: give a shorter one with -socket"},
		"a secret of two lines":  {func(*daemon) []string { return []string{"-secret", "a\nb"} }, "the secret has several lines"},
		"a secret too long":      {func(*daemon) []string { return []string{"-secret", long} }, "the secret has 5000 bytes, at most 4096"},
		"a long line in a file":  {func(d *daemon) []string { return []string{"-secret-file", secretFile(d, long+"\n")} }, "the secret has 5000 bytes, at most 4096"},
		"a NUL in a file":        {func(d *daemon) []string { return []string{"-secret-file", secretFile(d, "a\x00b\n")} }, "the secret holds a byte 0x00"},
		"no secret in a file":    {func(d *daemon) []string { return []string{"-secret-file", secretFile(d, "\r\nsecret\n")} }, "is empty"},
		"no file":                {func(d *daemon) []string { return []string{"-secret-file", d.dir + "/none"} }, "no such file"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d := newDaemon(t, setup{NoSecret: true})
			running := startDaemon(t, setup{})
			flags := test.flags(d)
			if said := d.refuse(flags...); !strings.Contains(said, test.says) {
				t.Errorf("the daemon says %q", said)
			}
			line := append([]string{programs.client, "-socket", running.socket}, flags...)
			if r := running.execute(append(line, "list")...); r.code == 0 || !strings.Contains(r.stderr, test.says) {
				t.Errorf("the client ends with %d and says %q", r.code, r.stderr)
			}
			line = append([]string{programs.daemon, "-check", "-state", d.state, "-cgroup", d.cgroup}, flags...)
			if r := d.execute(line...); r.code != 1 || !strings.Contains(strings.Join(strings.Fields(r.stdout), " "), test.says[:min(20, len(test.says))]) && !strings.Contains(r.stdout, "the kernel takes") {
				t.Errorf("-check ends with %d and says %q", r.code, r.stdout)
			}
		})
	}
}

func TestCheckRefusesTheAddressThatAStartDoes(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, setup{})
	for _, address := range []string{"0.0.0.0:0", "127.0.0.1:99999", "nothing", ":"} {
		r := d.execute(programs.daemon, "-check", "-state", d.state, "-cgroup", d.cgroup, "-listen", address)
		if said := d.refuse("-listen", address); r.code != 1 || !strings.Contains(said, "-listen") || !strings.Contains(r.stdout, "-listen") {
			t.Errorf("%s: a start says %q, -check %d %q", address, said, r.code, r.stdout)
		}
	}
}

// What values cannot be together is wrong usage, before any daemon is asked.
func TestTheClientRefusesWhatTheDaemonWould(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	for _, flags := range [][]string{
		{"-log", "-log_max_size", "10"}, {"-log_max_files", "3"}, {"-cron", "not a schedule"}, {"-jobid", strings.Repeat("j", 200)}, {"-stop_signal", "99"}, {"-cron", "\xff"},
	} {
		r := d.pmclient(append(append([]string{"start", "-command", "true"}, flags...), "x")...)
		w := d.session(t)
		script := "!!process.start name:x command:true"
		for i := 0; i < len(flags); i++ {
			if script += " " + flags[i][1:]; flags[i] != "-log" {
				script += ":'" + flags[i+1] + "'"
				i++
			}
		}
		if said := w.ask(script); r.code != 2 || !strings.HasPrefix(said, "Error: ") {
			t.Errorf("%q: the client ends with %d, %s; the daemon says %q", flags, r.code, r.stderr, said)
		}
	}
	if r := d.pmclient("logs", "-grep", "\xff", "x"); r.code != 2 || !strings.Contains(r.stderr, "UTF-8") {
		t.Errorf("a pattern that is no text: %d, %s", r.code, r.stderr)
	}
	if all := d.list(); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}
