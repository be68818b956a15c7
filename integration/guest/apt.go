package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// The suites that packages come from. The optional ones hold nothing but kernels.
var (
	neededSuites   = []string{"bookworm", "bookworm-backports"}
	optionalSuites = []string{"trixie-backports"}
)

const qemuSuite = "bookworm-backports"

// apt is an apt with sources, lists and a (empty) list of installed packages of
// its own, all below one directory. So what it resolves is complete, and the same
// on each host. Proxies and keys are the system's.
type apt struct {
	dir    string
	mirror string
	log    io.Writer
}

// newApt prepares the directory and fetches the lists.
func newApt(ctx context.Context, dir string, log io.Writer) (apt, error) {
	a := apt{dir: dir, log: log}
	// The system's sources, also where its lists have been cleaned away.
	targets, err := output(ctx, nil, "apt-get", "indextargets", "--no-release-info",
		"--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)")
	if err != nil {
		return a, err
	}
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return a, err
	}
	mirror, err := findMirror(targets, codename(release))
	if err != nil {
		return a, err
	}
	a.mirror = mirror
	for _, d := range []string{"lists/partial", "archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return a, err
		}
	}
	for name, text := range map[string]string{"status": "", "apt.conf": aptConfig(dir)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return a, err
		}
	}
	err = a.update(ctx, mirror, append(neededSuites[:len(neededSuites):len(neededSuites)], optionalSuites...))
	if err != nil {
		fmt.Fprintf(log, "guest: %v\nguest: trying again without %s\n", err, strings.Join(optionalSuites, ", "))
		err = a.update(ctx, mirror, neededSuites)
	}
	return a, err
}

func (a apt) update(ctx context.Context, mirror string, suites []string) error {
	var sources strings.Builder
	for _, s := range suites {
		fmt.Fprintf(&sources, "deb %s %s main\n", mirror, s)
	}
	if err := os.WriteFile(filepath.Join(a.dir, "sources.list"), []byte(sources.String()), 0o644); err != nil {
		return err
	}
	_, err := a.command(ctx, "apt-get", "-qq", "--error-on=any", "update")
	return err
}

// download fetches packages with all that they depend on, or the packages only,
// and names the files.
func (a apt) download(ctx context.Context, packages ...string) ([]string, error) {
	args := append([]string{"-qq", "-y", "--download-only", "-t", qemuSuite, "install"}, packages...)
	if _, err := a.command(ctx, "apt-get", args...); err != nil {
		return nil, err
	}
	return filepath.Glob(filepath.Join(a.dir, "archives", "*.deb"))
}

func (a apt) downloadOnly(ctx context.Context, name string) (string, error) {
	if _, err := a.command(ctx, "apt-get", "-qq", "download", name); err != nil {
		return "", err
	}
	debs, err := filepath.Glob(filepath.Join(a.dir, name+"_*.deb"))
	if err != nil || len(debs) != 1 {
		return "", fmt.Errorf("download %s: got %q", name, debs)
	}
	return debs[0], nil
}

// kernelPackage names the newest package of a kernel version, or "".
func (a apt) kernelPackage(ctx context.Context, version string) (string, error) {
	names, err := a.command(ctx, "apt-cache", "pkgnames", "linux-image-"+version+".")
	return newestKernel(names, version), err
}

func (a apt) command(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = a.dir
	cmd.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(a.dir, "apt.conf"), "LC_ALL=C")
	return finish(cmd)
}

func aptConfig(dir string) string {
	// The sandbox user could not write below a directory of ours.
	return fmt.Sprintf(`Dir::State %[1]q;
Dir::State::lists "%[2]s/lists";
Dir::State::status "%[2]s/status";
Dir::Cache %[1]q;
Dir::Cache::archives "%[2]s/archives";
Dir::Etc::sourcelist "%[2]s/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "-";
Dir::Etc::preferencesparts "-";
APT::Architecture "amd64";
APT::Architectures "amd64";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
`, dir, dir)
}

// findMirror takes the address of a Debian mirror from apt's index targets, which
// are lines of address, release and component.
func findMirror(targets []byte, codename string) (string, error) {
	for line := range strings.Lines(string(targets)) {
		f := strings.Fields(line)
		if len(f) != 3 || f[2] != "main" {
			continue
		}
		switch f[1] {
		case codename, "stable", "oldstable":
			return f[0], nil
		}
	}
	return "", fmt.Errorf("apt's sources name no mirror of Debian %q", codename)
}

// codename reads VERSION_CODENAME of an os-release file.
func codename(release []byte) string {
	for s := bufio.NewScanner(bytes.NewReader(release)); s.Scan(); {
		if name, ok := strings.CutPrefix(s.Text(), "VERSION_CODENAME="); ok {
			return strings.Trim(name, `"'`)
		}
	}
	return ""
}

// newestKernel picks from package names, one a line, the newest signed cloud
// kernel of a version such as 6.12; "" if there is none.
func newestKernel(names []byte, version string) string {
	const suffix = "-cloud-amd64"
	newest := ""
	for line := range strings.Lines(string(names)) {
		name, ok := strings.CutSuffix(strings.TrimSpace(line), suffix)
		if ok && strings.HasPrefix(name, "linux-image-"+version+".") && (newest == "" || olderVersion(newest, name)) {
			newest = name
		}
	}
	if newest == "" {
		return ""
	}
	return newest + suffix
}

var digits = regexp.MustCompile(`[0-9]+`)

// olderVersion compares the numbers in two names, one after the other.
func olderVersion(a, b string) bool {
	x, y := digits.FindAllString(a, -1), digits.FindAllString(b, -1)
	for i := range min(len(x), len(y)) {
		m, _ := strconv.Atoi(x[i])
		n, _ := strconv.Atoi(y[i])
		if m != n {
			return m < n
		}
	}
	return len(x) < len(y)
}

// output runs a program and gives its standard output; an error holds what it
// said on the other one.
func output(ctx context.Context, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	return finish(cmd)
}

func finish(cmd *exec.Cmd) ([]byte, error) {
	out, err := cmd.Output()
	if err != nil {
		text := strings.Join(cmd.Args, " ")
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
			return out, fmt.Errorf("%s: %w\n%s", text, err, bytes.TrimSpace(exit.Stderr))
		}
		return out, fmt.Errorf("%s: %w", text, err)
	}
	return out, nil
}
