package schedule

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The zone is read once, at the start of a program: so each is a program of its own.
func TestZoneThatIsNotKnownIsSaid(t *testing.T) {
	const play = "PM_TEST_LOCAL"
	if os.Getenv(play) != "" {
		if err := CheckLocal(); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(3)
		}
		os.Exit(0)
	}
	for _, c := range []struct {
		tz    string
		known bool
	}{
		{"", true}, {":", true}, {"UTC", true}, {":UTC", true}, {"Etc/UTC", true}, {"Europe/Brussels", true}, {":Europe/Brussels", true},
		{"/usr/share/zoneinfo/Europe/Brussels", true},
		{"Mars/X", false}, {":Mars/X", false}, {"CET-1CEST,M3.5.0,M10.5.0/3", false}, {"/no/such/file", false}, {"/etc/passwd", false}, {"../../etc/passwd", false},
	} {
		child := exec.Command(os.Args[0], "-test.run=^TestZoneThatIsNotKnownIsSaid$")
		child.Env = append(os.Environ(), play+"=1", "TZ="+c.tz)
		out, err := child.CombinedOutput()
		if known := err == nil; known != c.known || !known && !strings.Contains(string(out), c.tz) {
			t.Errorf("TZ=%s: %v, %s", c.tz, err, out)
		}
	}
}

func TestLocalTimeThatCannotBeReadIsSaid(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/usr/share/zoneinfo/No/Such", dir+"/dangling"); err != nil {
		t.Fatal(err)
	}
	if err := checkLocal("", false, "UTC", dir+"/dangling"); err == nil {
		t.Error("its zone data has gone")
	}
	if err := checkLocal("", false, "UTC", dir+"/none"); err != nil {
		t.Errorf("none means UTC: %v", err)
	}
	if err := checkLocal("", false, "Local", dir+"/dangling"); err != nil {
		t.Errorf("it was read: %v", err)
	}
}
