package supervisor

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func testRecord(name string) record {
	grace := 2 * time.Second
	return record{
		Spec: process.Spec{Name: name, Command: "echo 'a\nb' **ENDRESULT** é", Cron: "@daily", StopSignal: 2, StopTimeout: &grace},
		Up:   true, Run: 7, At: process.Failed,
		Last: &process.Run{Number: 6, Cause: process.CauseSignal, Signal: 11, Start: time.Unix(1, 0).UTC(), Usage: process.Usage{CPU: new(int64(5))}},
	}
}

func TestStoreGivesBackWhatWasPut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "processes.db")
	s, records, err := openStore(path, nil)
	if err != nil || len(records) != 0 {
		t.Fatal(records, err)
	}
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			if err := s.put(testRecord(fmt.Sprintf("p%02d", i))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if err := s.remove("p50"); err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	s, records, err = openStore(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if len(records) != 99 {
		t.Fatalf("%d records, not 99", len(records))
	}
	if want := testRecord("p00"); !reflect.DeepEqual(records[0], want) {
		t.Errorf("got %+v\nwant %+v", records[0], want)
	}
}

// verify is VerifyStore in another process, and openStore if that found nothing.
func verify(dir string) error {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), verifyEnv+"="+dir)
	if out, err := c.Output(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	s, _, err := openStore(StorePath(dir), nil)
	if err == nil {
		s.close()
	}
	return err
}

// A store with a damaged page must be refused when it is opened, whichever page.
func TestDamagedStoreIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "processes.db")
	s, _, err := openStore(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if err := s.put(testRecord(fmt.Sprintf("p%03d", i))); err != nil {
			t.Fatal(err)
		}
	}
	s.close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damage := map[string]func() []byte{
		"garbage":       func() []byte { return []byte(strings.Repeat("not a store ", 1000)) },
		"one byte":      func() []byte { return []byte("x") },
		"half of it":    func() []byte { return whole[:len(whole)/2] },
		"other format":  func() []byte { return []byte(strings.Replace(string(whole), "format1", "format9", -1)) },
		"no first page": func() []byte { return append(make([]byte, 8192), whole[8192:]...) },
	}
	for name, make := range damage {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(StorePath(dir), make(), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := verify(dir); err == nil {
				t.Fatal("it was taken")
			} else {
				t.Log(err)
			}
		})
	}
}

func TestResetStoreKeepsTheOldOne(t *testing.T) {
	dir := t.TempDir()
	if moved, err := ResetStore(dir); moved != nil || err != nil {
		t.Fatal(moved, err)
	}
	if err := os.WriteFile(StorePath(dir), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join("web", "log")
	if err := os.MkdirAll(filepath.Join(logsDir(dir), filepath.Dir(log)), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(logsDir(dir), log), []byte("said"), 0o600); err != nil {
		t.Fatal(err)
	}
	moved, err := ResetStore(dir)
	if err != nil || len(moved) != 2 {
		t.Fatal(moved, err)
	}
	for path, want := range map[string]string{moved[0]: "old", filepath.Join(moved[1], log): "said"} {
		if data, err := os.ReadFile(path); string(data) != want {
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
	if err := verify(dir); err != nil {
		t.Error("the new one:", err)
	}
}
