package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestOptionsTellPackagesFromArguments(t *testing.T) {
	o, err := parseOptions(strings.Fields("-kernel 6.1,6.12 -limit 90s -file pmclient=bin/pmclient -file /etc/x=y ./a ./b -- -test.run=X -test.count=2"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.kernels, []string{"6.1", "6.12"}) || o.limit != 90*time.Second {
		t.Errorf("kernels %q, limit %v", o.kernels, o.limit)
	}
	if !slices.Equal(o.packages, []string{"./a", "./b"}) || !slices.Equal(o.args, []string{"-test.run=X", "-test.count=2"}) {
		t.Errorf("packages %q, arguments %q", o.packages, o.args)
	}
	if want := []file{{"/usr/local/bin/pmclient", "bin/pmclient"}, {"/etc/x", "y"}}; !slices.Equal(o.files, want) {
		t.Errorf("files %q", o.files)
	}
}

func TestSenselessOptionsAreRefused(t *testing.T) {
	for _, args := range []string{"", "-kernel= ./a", "-jobs 0 ./a", "-file x ./a", "-file =x ./a", "-nonsense",
		"-table all ./a", "-row x ./a", "-docs x ./a", "-table all -kernel=",
	} {
		if _, err := parseOptions(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}

func TestMirrorIsDebians(t *testing.T) {
	for _, test := range []struct{ name, targets, want string }{
		{"plain", "http://m/debian/ bookworm main\nhttp://m/debian/ bookworm-updates main\n", "http://m/debian/"},
		{"security first", "http://m/debian-security/ bookworm-security main\nhttp://m/debian/ bookworm main\n", "http://m/debian/"},
		{"another archive with the same release", "https://d/linux/debian/ bookworm stable\nhttp://m/debian/ bookworm main\n", "http://m/debian/"},
		{"by suite", "http://m/debian/ stable main\n", "http://m/debian/"},
		{"another system", "http://m/ubuntu/ noble main\n", ""},
		{"nothing", "", ""},
	} {
		got, err := findMirror([]byte(test.targets), "bookworm")
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
	}
}

func TestCodename(t *testing.T) {
	if got := codename([]byte("NAME=\"Debian\"\nVERSION_CODENAME=bookworm\nID=debian\n")); got != "bookworm" {
		t.Errorf("%q", got)
	}
}

func TestNewestKernelIsTaken(t *testing.T) {
	names := []byte(`linux-image-6.1.0-9-cloud-amd64
linux-image-6.1.0-50-cloud-amd64
linux-image-6.1.0-51-cloud-amd64-unsigned
linux-image-6.1.0-51-cloud-amd64-dbg
linux-image-6.1.0-52-amd64
linux-image-6.12.9+deb12-cloud-amd64
linux-image-6.12.90+deb12-cloud-amd64
linux-image-6.12.90+deb12.1-cloud-amd64
`)
	for version, want := range map[string]string{
		"6.1":  "linux-image-6.1.0-50-cloud-amd64",
		"6.12": "linux-image-6.12.90+deb12.1-cloud-amd64",
		"6.18": "",
	} {
		if got := newestKernel(names, version); got != want {
			t.Errorf("%s: %q", version, got)
		}
	}
}

func TestDependsAreRead(t *testing.T) {
	got := parseDepends([]byte("license=GPL\x00depends=virtio,virtio_ring\x00name=virtio_blk\x00"))
	if !slices.Equal(got, []string{"virtio", "virtio_ring"}) {
		t.Errorf("%q", got)
	}
	if got := parseDepends([]byte("depends=\x00name=loop\x00")); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func TestShellReadsQuotedArgumentsBack(t *testing.T) {
	args := []string{"-test.run=^A$|B", "it's", "", "a b\n$HOME", `\`}
	out, err := exec.Command("/bin/sh", "-c", "set -- "+quote(args)+`; printf '%s\0' "$@"`).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); !slices.Equal(got, args) {
		t.Errorf("%q", got)
	}
}

func TestMachineArguments(t *testing.T) {
	m := machine{store: &cache{dir: "/c"}, image: "/c/k", append: "GUEST=6.1", accelerator: tcg, memory: 3072, dir: "/m",
		disks: []disk{{"/t", ",readonly=on"}, {"/s", ",snapshot=on"}}}
	text := strings.Join(m.arguments(), " ")
	for _, want := range []string{
		"-accel tcg,thread=multi,tb-size=512 -cpu max,-la57",
		"-serial file:/m/console -serial file:/m/report",
		"-drive if=virtio,format=raw,file=/t,readonly=on -drive if=virtio,format=raw,file=/s,snapshot=on",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
	m.accelerator = kvm
	if text := strings.Join(m.arguments(), " "); !strings.Contains(text, "-accel kvm -cpu host") {
		t.Errorf("%q", text)
	}
}

const finished = `
##UP 3.05 6.1.0-50-cloud-amd64

##RUN 3.12 example/a
=== RUN   TestX
--- PASS: TestX (0.00s)
=== RUN   TestY
    y_test.go:3: no such thing here
--- SKIP: TestY (0.00s)
PASS

##RC=0 4.62 example/a

##RUN 4.70 example/b
=== RUN   TestZ
    z_test.go:9: ##RC=0 is not a mark here
--- FAIL: TestZ (0.10s)
no end of line
##RC=1 5.00 example/b

##DONE
`

func TestTranscriptIsRead(t *testing.T) {
	for _, end := range []string{"\n", "\r\n"} {
		got := parseTranscript([]byte(strings.ReplaceAll(finished, "\n", end)))
		if got.release != "6.1.0-50-cloud-amd64" || got.up != 3.05 || !got.done || len(got.runs) != 2 {
			t.Fatalf("%+v", got)
		}
		a, b := got.runs[0], got.runs[1]
		if a.pkg != "example/a" || a.code != 0 || a.start != 3.12 || a.end != 4.62 {
			t.Errorf("%+v", a)
		}
		if b.pkg != "example/b" || b.code != 1 || !bytes.Contains(b.output, []byte("not a mark here")) {
			t.Errorf("%+v", b)
		}
	}
}

func TestUnfinishedTranscriptIsReadAsFarAsItGoes(t *testing.T) {
	whole := parseTranscript([]byte(finished))
	for i := range len(finished) - 2 {
		got := parseTranscript([]byte(finished[:i]))
		if got.done || len(got.runs) > len(whole.runs) {
			t.Fatalf("%d bytes: %+v", i, got)
		}
	}
	got := parseTranscript([]byte(finished[:strings.Index(finished, "\n##RC=1")]))
	if len(got.runs) != 2 || got.runs[1].code != -1 {
		t.Errorf("%+v", got)
	}
}

// A test has the guest booted anew, and goes on.
func TestTranscriptGoesOnAfterAnotherBoot(t *testing.T) {
	got := parseTranscript([]byte(`
##UP 8.10 6.1.0-50-cloud-amd64

##RUN 9.00 example/a
first boot
##UP 7.50 6.1.0-50-cloud-amd64

##RUN 8.00 example/a
second boot
##RC=0 9.50 example/a

##DONE
`))
	if got.up != 8.10 || !got.done || len(got.runs) != 1 {
		t.Fatalf("%+v", got)
	}
	run := got.runs[0]
	if run.code != 0 || run.end-run.start != 1.5 || string(run.output) != "first boot\n\nsecond boot" {
		t.Errorf("%+v %q", run, run.output)
	}
}

func TestReportIsThatOfGoTest(t *testing.T) {
	var out strings.Builder
	r := reporter{out: &out}
	r.guest("6.1", []string{"example/a", "example/b"}, outcome{transcript: parseTranscript([]byte(finished)), accelerator: tcg})
	if err := r.close(); !errors.Is(err, errFailed) {
		t.Errorf("closed with %v", err)
	}
	const want = `--- SKIP: TestY (0.00s)
    y_test.go:3: no such thing here
ok  	example/a	1.500s	[linux 6.1, 1 passed, 1 skipped]
=== linux 6.1: example/b
=== RUN   TestZ
    z_test.go:9: ##RC=0 is not a mark here
--- FAIL: TestZ (0.10s)
no end of line
FAIL	example/b	0.300s	[linux 6.1, 0 passed, 1 failed, exit 1]
linux 6.1: 6.1.0-50-cloud-amd64, tcg, up after 3.0s, 0.0s in all
FAIL
`
	if got := out.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestGuestThatDoesNotFinishFailsAndShowsItsConsole(t *testing.T) {
	var out strings.Builder
	r := reporter{out: &out}
	cut := finished[:strings.Index(finished, "\n##RUN 4.70")]
	r.guest("6.1", []string{"example/a", "example/b"}, outcome{
		transcript: parseTranscript([]byte(cut)), console: []byte("Kernel panic\n"), err: errors.New("not finished"),
	})
	if err := r.close(); !errors.Is(err, errFailed) {
		t.Errorf("closed with %v", err)
	}
	for _, want := range []string{"ok  \texample/a", "FAIL\texample/b\t[linux 6.1, not run]", "Kernel panic", "FAIL\tlinux 6.1: not finished"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

// A test that fails is judged by what its machine has said, too.
func TestFailureShowsConsoleAndJournal(t *testing.T) {
	var disk bytes.Buffer
	w := tarWriter{tar.NewWriter(&disk)}
	if err := errors.Join(w.text("./cpu.pprof", "profile"), w.text("./journal", "processmanager[7]: worker 8 has ended\n"), w.Close()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, disk.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	o := outcome{transcript: parseTranscript([]byte(finished)), console: []byte("oom-kill: constraint\n"), journal: readResult(file, "journal")}
	if readResult(file, "none") != nil || readResult(file+"x", "journal") != nil {
		t.Error("what is not there was read")
	}
	var out strings.Builder
	r := reporter{out: &out}
	r.guest("6.1", []string{"example/a", "example/b"}, o)
	for _, want := range []string{"--- console of linux 6.1", "oom-kill: constraint", "--- journal of linux 6.1", "worker 8 has ended"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	out.Reset()
	o.runs = o.runs[:1] // the one that passed
	r.guest("6.1", []string{"example/a"}, o)
	if strings.Contains(out.String(), "oom-kill") {
		t.Errorf("of a guest whose tests passed:\n%s", &out)
	}
}

func TestPackagesThatDoNotCompileFailByThemselves(t *testing.T) {
	var out, said strings.Builder
	o := options{packages: []string{"./testdata/compiles", "./testdata/broken", "./testdata/nowhere"}}
	p, err := makePayload(t.Context(), t.TempDir(), o, &said)
	if err != nil {
		t.Fatal(err)
	}
	const module = "github.com/freeflowuniverse/processmanager/integration/guest/testdata/"
	if !slices.Equal(p.packages, []string{module + "compiles"}) || len(p.broken) != 2 || !strings.Contains(said.String(), "undefined") {
		t.Errorf("packages %q, broken %q; said:\n%s", p.packages, p.broken, &said)
	}
	r := reporter{out: &out}
	r.broken(p.broken[0])
	if err := r.close(); !errors.Is(err, errFailed) || out.String() != "FAIL\t"+module+"broken [build failed]\nFAIL\n" {
		t.Errorf("closed with %v:\n%s", err, &out)
	}
}

func TestDeadRunsLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	dead, other := filepath.Join(dir, workdirPrefix+"1/6.1"), filepath.Join(dir, "somebodys")
	for _, path := range []string{dead, other} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var runs [8]workdir
	var starts sync.WaitGroup
	for i := range runs { // at the same time: none may take another's
		starts.Go(func() {
			var err error
			if runs[i], err = newWorkdir(dir); err != nil {
				t.Error(err)
			}
		})
	}
	starts.Wait()
	for _, w := range runs {
		if _, err := os.Stat(w.path); err != nil {
			t.Errorf("a live run's: %v", err)
		}
	}
	if _, err := os.Stat(dead); err == nil {
		t.Error("a dead run's directory is left")
	}
	for _, w := range runs {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 || left[0].Name() != "somebodys" {
		t.Errorf("left: %v", left)
	}
}

func TestResultsComeBackAndStayInside(t *testing.T) {
	var disk bytes.Buffer
	w := tarWriter{tar.NewWriter(&disk)}
	if err := errors.Join(w.text("./cpu.pprof", "profile"), w.Close()); err != nil {
		t.Fatal(err)
	}
	disk.Write(make([]byte, 4096)) // the rest of the disk
	file := filepath.Join(t.TempDir(), "disk")
	dir := filepath.Join(t.TempDir(), "6.1")
	if err := os.WriteFile(file, disk.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unpackResults(file, dir); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "cpu.pprof")); err != nil || string(got) != "profile" {
		t.Errorf("%q, %v", got, err)
	}

	disk.Reset()
	w = tarWriter{tar.NewWriter(&disk)}
	if err := errors.Join(w.text("../outside", "x"), w.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, disk.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unpackResults(file, dir); err == nil {
		t.Error("a file outside was written")
	}
}

func TestEmptyResultsDiskHoldsNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "disk")
	if err := makeSparse(file, 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := unpackResults(file, t.TempDir()); err != nil {
		t.Error(err)
	}
}

func TestArchiveOfTheRootIsAligned(t *testing.T) {
	var c cpio
	c.add("a", modeFile|0o644, 0, []byte("12345"))
	c.add("bc", modeLink|0o777, 0, []byte("a"))
	got := string(c.bytes())
	for at := 0; ; {
		next := strings.Index(got[at:], "070701")
		if next < 0 {
			break
		}
		if at += next; at%4 != 0 {
			t.Errorf("a header at %d", at)
		}
		at++
	}
	if len(got)%4 != 0 || !strings.Contains(got, "TRAILER!!!") {
		t.Errorf("%q", got)
	}
}
