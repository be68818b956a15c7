package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// duration is of TestStorm: make storm-guest makes it longer.
var duration = flag.Duration("duration", 15*time.Second, "how long to kill")

// A storm that is over soon, unless more is asked for.
func TestStorm(t *testing.T) {
	var out bytes.Buffer
	args := []string{"storm", "-duration", duration.String(), "-processes", strconv.Itoa(30 / min(slowdown, 3)), "-kill", "worker=20,keeper=1,both=1", "-bin", os.Getenv("PM_BIN"),
		"-median", (3 * time.Second * time.Duration(slowdown)).String()} // other tests run beside it
	if code := run(t.Context(), args, &out, &out); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out.String())
	}
	t.Log(out.String())
}

// TestMain has the test binary be the storm in its mount namespace.
func TestMain(m *testing.M) {
	if os.Getenv(namespaceEnv) != "" {
		os.Exit(run(context.Background(), os.Args, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// The same where the daemon lacks something.
func TestHardPlaces(t *testing.T) {
	for _, place := range [][]string{{"-files", "80"}, {"-disk", "fills"}, {"-disk", "freezes"}} {
		t.Run(strings.Join(place, " "), func(t *testing.T) {
			if _, err := exec.LookPath("mkfs.ext4"); place[0] == "-disk" && (os.Getuid() != 0 || err != nil) {
				t.Skip("it takes root and mkfs.ext4 to have a disk: ", err)
			}
			t.Parallel()
			var out bytes.Buffer
			args := append([]string{"storm", "-duration", "8s", "-processes", "30", "-kill", "worker=20,keeper=1,both=1", "-bin", os.Getenv("PM_BIN"), "-median", "5s"}, place...)
			if code := run(t.Context(), args, &out, &out); code != 0 {
				t.Fatalf("exit code %d\n%s", code, out.String())
			}
			t.Log(out.String())
		})
	}
}

func TestWeights(t *testing.T) {
	for text, want := range map[string]weights{
		"worker":                   {worker: 1},
		"worker=3,both=2":          {worker: 3, both: 2},
		"keeper=0,worker=1,both=5": {worker: 1, both: 5},
	} {
		var w weights
		if err := w.Set(text); err != nil || w != want {
			t.Errorf("%s: %+v, %v", text, w, err)
		}
	}
	for _, text := range []string{"", "me", "worker=", "worker=-1", "worker=1,,"} {
		if err := new(weights).Set(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}
