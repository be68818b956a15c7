package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// host is a copy of this host's file system, in which the scripts of a package may do what they
// do. systemd does not run in it.
type host struct{ upper, work, root string }

func newHost(t *testing.T) host {
	t.Helper()
	dir := t.TempDir()
	h := host{filepath.Join(dir, "upper"), filepath.Join(dir, "work"), filepath.Join(dir, "root")}
	for _, d := range []string{h.upper, h.work, h.root} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// run has a shell run a script in the copy. $1 and what follows are args.
func (h host) run(script string, args ...string) (string, error) {
	const enter = `mount -t overlay overlay -o "lowerdir=/,upperdir=$1,workdir=$2" "$3" && mount --bind /dev "$3/dev" && mount -t proc proc "$3/proc" && root=$3 && shift 3 && exec chroot "$root" sh -ec "$@"`
	out, err := exec.Command("unshare", append([]string{"--mount", "sh", "-ec", enter, "sh", h.upper, h.work, h.root, script, "sh"}, args...)...).CombinedOutput()
	return string(out), err
}

func (h host) do(t *testing.T, script string, args ...string) string {
	t.Helper()
	out, err := h.run(script, args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return out
}

// secret is the one that an installation has made.
func (h host) secret(t *testing.T) string {
	t.Helper()
	path := filepath.Join(h.upper, "etc/processmanager/secret")
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 || info.Size() < 32 {
		t.Fatalf("the secret: %v, %v", info, err)
	}
	return read(t, path)
}

// later has the store of a daemon whose package is of a later format.
func (h host) later(t *testing.T) {
	t.Helper()
	h.do(t, `mkdir -p /var/lib/processmanager /usr/share/processmanager
		touch /var/lib/processmanager/processes.db
		echo 1000 >/usr/share/processmanager/store-format`)
}

const refusal = "the installed one keeps /var/lib/processmanager in format 1000"

func TestScriptsOfTheRPM(t *testing.T) {
	rpm, h := given(t, "rpm"), newHost(t)
	h.do(t, `rpm -i --force-debian --nodeps "$1"`, rpm)
	h.do(t, `getent group processmanager`)
	secret := h.secret(t)
	h.do(t, `rpm -U --force --force-debian --nodeps "$1"`, rpm)
	if now := h.secret(t); now != secret {
		t.Error("an upgrade has made another secret")
	}
	h.later(t)
	if out, err := h.run(`rpm -U --force --force-debian --nodeps "$1"`, rpm); err == nil || !strings.Contains(out, refusal) {
		t.Errorf("a package of an earlier format is installed: %v, %s", err, out)
	}
	h.do(t, `rpm -e --nodeps processmanager; test ! -e /usr/bin/processmanager`)
	if now := h.secret(t); now != secret {
		t.Error("a removal has changed the secret")
	}
}

// busybox makes what the scripts of an .apk find on their host. Debian's build of it has no
// addgroup.
const busybox = `mkdir /alpine && busybox --install -s /alpine
	printf '#!/bin/sh\n[ "$1" = -S ] && exec /usr/sbin/groupadd --system "$2"\n' >/alpine/addgroup && chmod 755 /alpine/addgroup
	export PATH=/alpine
`

func TestScriptsOfTheAPK(t *testing.T) {
	h := newHost(t)
	h.do(t, `mkdir -p /etc/processmanager /scripts; tar -xf "$1" -C /scripts`, given(t, "apk"))
	h.do(t, busybox+`/scripts/.post-install; grep ^processmanager: /etc/group`)
	secret := h.secret(t)
	h.do(t, `PATH=/alpine /scripts/.pre-upgrade; PATH=/alpine /scripts/.post-upgrade; PATH=/alpine /scripts/.post-install; PATH=/alpine /scripts/.pre-deinstall`)
	if now := h.secret(t); now != secret {
		t.Error("an upgrade has made another secret")
	}
	h.later(t)
	if out, err := h.run(`PATH=/alpine /scripts/.pre-upgrade`); err == nil || !strings.Contains(out, refusal) {
		t.Errorf("a package of an earlier format is installed: %v, %s", err, out)
	}
}
