package packaging

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// built is the one package of a format in a directory.
func built(t *testing.T, dir, format string) string {
	t.Helper()
	if dir == "" {
		t.Skip("PACKAGES names no packages: make test-package builds them")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*."+format))
	if err != nil || len(files) != 1 {
		t.Fatalf("%s in %s: %q, %v", format, dir, files, err)
	}
	return files[0]
}

func given(t *testing.T, format string) string {
	t.Helper()
	return built(t, os.Getenv("PACKAGES"), format)
}

// output is what a command says that must work.
func output(t *testing.T, stdin []byte, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = bytes.NewReader(stdin)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, said.Bytes())
	}
	return string(out)
}

// unpacked has the files of each package below a directory, and the names of its formats.
func unpacked(t *testing.T) map[string]string {
	t.Helper()
	dirs := map[string]string{"deb": t.TempDir(), "rpm": t.TempDir(), "apk": t.TempDir()}
	output(t, nil, "dpkg-deb", "-x", given(t, "deb"), dirs["deb"])
	output(t, nil, "rpm", "-i", "--force-debian", "--root", dirs["rpm"], "--nodeps", "--noscripts", given(t, "rpm"))
	output(t, nil, "rpm", "-V", "--root", dirs["rpm"], "--nodeps", "--noscripts", "processmanager")
	output(t, nil, "tar", "-xzf", given(t, "apk"), "-C", dirs["apk"], "--warning=no-unknown-keyword")
	return dirs
}

// Everything that lintian calls an error or a warning is mended, or has a reason in
// deb/lintian-overrides.
func TestLintianHasNothingToSay(t *testing.T) {
	out, err := exec.Command("lintian", "--allow-root", "--tag-display-limit", "0", "--fail-on", "error,warning", given(t, "deb")).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// What a package has, whatever its format.
func TestPackagesHoldThePrograms(t *testing.T) {
	for format, dir := range unpacked(t) {
		zsh := map[string]string{"deb": "vendor-completions", "rpm": "site-functions", "apk": "site-functions"}[format]
		for path, mode := range map[string]os.FileMode{
			"usr/bin/processmanager":                                  0o755,
			"usr/bin/pmclient":                                        0o755,
			"usr/lib/systemd/system/processmanager.service":           0o644,
			"usr/lib/systemd/system/processmanager.socket":            0o644,
			"usr/lib/systemd/user/processmanager.service":             0o644,
			"usr/share/man/man1/pmclient.1.gz":                        0o644,
			"usr/share/man/man5/heroscript.5.gz":                      0o644,
			"usr/share/man/man8/processmanager.8.gz":                  0o644,
			"usr/share/bash-completion/completions/pmclient":          0o644,
			"usr/share/bash-completion/completions/processmanager":    0o644,
			"usr/share/fish/vendor_completions.d/pmclient.fish":       0o644,
			"usr/share/fish/vendor_completions.d/processmanager.fish": 0o644,
			"usr/share/zsh/" + zsh + "/_pmclient":                     0o644,
			"usr/share/zsh/" + zsh + "/_processmanager":               0o644,
			"usr/lib/sysusers.d/processmanager.conf":                  0o644,
			"usr/lib/tmpfiles.d/processmanager.conf":                  0o644,
			"usr/share/processmanager/store-format":                   0o644,
			"usr/share/processmanager/alerts.yml":                     0o644,
			"usr/share/doc/processmanager/third-party-licenses.gz":    0o644,
			"etc/processmanager":                                      os.ModeDir | 0o755,
			"etc/processmanager/processmanager.conf":                  0o644,
			"etc/processmanager/example.hero.sample":                  0o644,
		} {
			if info, err := os.Lstat(filepath.Join(dir, path)); err != nil {
				t.Errorf("%s: %v", format, err)
			} else if info.Mode() != mode {
				t.Errorf("%s: %s is %v, want %v", format, path, info.Mode(), mode)
			}
		}
		if loaded, _ := filepath.Glob(dir + "/etc/processmanager/*.hero"); len(loaded) > 0 {
			t.Errorf("%s: the daemon would load %q", format, loaded)
		}
		if made, _ := filepath.Glob(dir + "/etc/processmanager/secret*"); len(made) > 0 {
			t.Errorf("%s: it brings a secret, which is then everybody's: %q", format, made)
		}
	}
}

// A small host has room for the programs.
func TestProgramsAreSmall(t *testing.T) {
	for format, dir := range unpacked(t) {
		for name, most := range map[string]int64{"processmanager": 20e6, "pmclient": 8e6} {
			if info, err := os.Stat(filepath.Join(dir, "usr/bin", name)); err != nil || info.Size() >= most {
				t.Errorf("%s: %s: %v, or it has %d bytes or more", format, name, err, most)
			} else {
				t.Logf("%s: %s has %d bytes", format, name, info.Size())
			}
		}
	}
}

// The programs are those for this machine, and say the version of the package.
func TestProgramsSayThePackagesVersion(t *testing.T) {
	version, _, _ := strings.Cut(strings.TrimSpace(output(t, nil, "dpkg-deb", "-f", given(t, "deb"), "Version")), "-")
	for format, dir := range unpacked(t) {
		for _, program := range []string{"processmanager", "pmclient"} {
			if said := output(t, nil, dir+"/usr/bin/"+program, "-version"); !slices.Contains(strings.Fields(said), version) {
				t.Errorf("%s: %s says %s, want %s", format, program, said, version)
			}
		}
	}
}

// What the package managers show of the package.
func TestPackagesSayWhatTheyAre(t *testing.T) {
	const line = "Process manager with a cgroup for each run"
	for name, text := range map[string]string{
		"deb": output(t, nil, "dpkg-deb", "-f", given(t, "deb"), "Description"),
		"rpm": output(t, nil, "rpm", "-qp", "--qf", "%{SUMMARY}\n%{DESCRIPTION}", given(t, "rpm")),
	} {
		if !strings.HasPrefix(text, line+"\n") || !strings.HasSuffix(strings.TrimSpace(text), "pmclient drives it from the command line.") {
			t.Errorf("%s: %s", name, text)
		}
	}
	for said := range strings.Lines(read(t, unpacked(t)["apk"]+"/.PKGINFO")) {
		if name, value, ok := strings.Cut(said, " = "); !strings.HasPrefix(said, "#") && (!ok || name == "pkgdesc" && value != line+"\n") {
			t.Errorf("apk: %s", said)
		}
	}
}

// The scripts are whole, each is one that a shell can read, and the number of the store's format
// in them is the one that is in the package.
func TestScriptsAreWhole(t *testing.T) {
	dirs := unpacked(t)
	scripts := map[string]string{}
	control := t.TempDir()
	output(t, nil, "dpkg-deb", "-e", given(t, "deb"), control)
	for _, name := range []string{"preinst", "postinst", "prerm", "postrm"} {
		scripts["deb "+name] = read(t, filepath.Join(control, name))
	}
	for _, tag := range []string{"PREIN", "POSTIN", "PREUN", "POSTUN"} {
		scripts["rpm "+tag] = output(t, nil, "rpm", "-qp", "--qf", "%{"+tag+"}", given(t, "rpm"))
	}
	for _, name := range []string{"post-install", "pre-upgrade", "post-upgrade", "pre-deinstall"} {
		scripts["apk "+name] = read(t, filepath.Join(dirs["apk"], "."+name))
	}
	for name, text := range scripts {
		if strings.TrimSpace(text) == "" || text == "(none)" || strings.Contains(text, "#INCLUDE") || strings.Contains(text, "@FORMAT@") {
			t.Errorf("%s is not whole: %q", name, text)
		}
		output(t, []byte(text), "sh", "-n")
	}
	format := strings.TrimSpace(read(t, dirs["deb"]+"/usr/share/processmanager/store-format"))
	for _, name := range []string{"deb preinst", "rpm PREIN", "apk pre-upgrade"} {
		if !strings.Contains(scripts[name], `"$installed" -gt `+format+" ]") {
			t.Errorf("%s does not refuse formats after %s:\n%s", name, format, scripts[name])
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// What is linked in is named, with its licence.
func TestLicencesOfAllModulesAreThere(t *testing.T) {
	dir := unpacked(t)["deb"]
	text := output(t, []byte(read(t, dir+"/usr/share/doc/processmanager/third-party-licenses.gz")), "gzip", "-dc")
	modules := output(t, nil, "go", "version", "-m", dir+"/usr/bin/processmanager")
	linked := 0
	for line := range strings.Lines(modules) {
		if f := strings.Fields(line); len(f) >= 3 && f[0] == "dep" {
			linked++
			_, licence, ok := strings.Cut(text, "\n"+f[1]+" "+f[2]+"\n")
			licence, _, _ = strings.Cut(licence, "\n\n\n")
			if !ok || len(licence) < 500 {
				t.Errorf("there is no licence of %s %s", f[1], f[2])
			}
		}
	}
	if linked == 0 {
		t.Errorf("nothing is linked in: %s", modules)
	}
}

// Two builds of the same sources give the same files, though time has passed.
func TestTwoBuildsAreTheSame(t *testing.T) {
	first := os.Getenv("PACKAGES")
	built(t, first, "deb")
	second := t.TempDir()
	cmd := exec.Command("make", "-C", "..", "package", "OUT="+second)
	cmd.Env = append(os.Environ(), "TZ=Pacific/Chatham", "OUT="+second)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, format := range []string{"deb", "rpm", "apk"} {
		a, b := built(t, first, format), built(t, second, format)
		if filepath.Base(a) != filepath.Base(b) {
			t.Errorf("%s and %s", a, b)
		}
		if read(t, a) != read(t, b) {
			t.Errorf("%s differs from one build to the next", filepath.Base(a))
		}
	}
}

// A version that not every format can say is refused, in a line that shows one.
func TestVersionThatNotEveryFormatCanSayIsRefused(t *testing.T) {
	for _, version := range []string{"", "1.2-3", "v1.2", "1.2+", "1.2~alphabet"} {
		cmd := exec.Command("./package.sh")
		cmd.Env = append(os.Environ(), "VERSION="+version, "SOURCE_DATE_EPOCH=1", "GOARCH=amd64")
		cmd.Dir = t.TempDir() // nothing is built here
		cmd.Path, _ = filepath.Abs("package.sh")
		if out, err := cmd.CombinedOutput(); err == nil || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), "must look like 1.2.0") {
			t.Errorf("%q: %v, %s", version, err, out)
		}
	}
}
