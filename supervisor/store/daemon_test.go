package store

import (
	"errors"
	"os"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// That a daemon's start has brought things up is on disk no later than anything that it has
// started, also where the disk was full at first: else the next worker would do it again.
func TestAStartThatCouldNotBeWrittenGoesWithTheNextChange(t *testing.T) {
	path := t.TempDir() + "/processes.db"
	s, _, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Begin()
	write := func(c Change) error {
		done := make(chan error, 1)
		c.Done = func(err error) { done <- err }
		s.Write(c)
		return <-done
	}
	if err := write(Change{Name: "web", Target: &Target{}}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(path, path+".away"), os.WriteFile(path, nil, 0o600)); err != nil { // it is not written to
		t.Fatal(err)
	}
	want := Daemon{Origin: Origin{Boot: "boot", Keeper: "1:2"}, Done: true}
	if err := write(Change{Daemon: &want}); err == nil {
		t.Fatal("it was written all the same")
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	if err := write(Change{Name: "web", Target: &Target{Run: 1}}); err != nil {
		t.Fatal(err)
	}
	var got Daemon
	err = s.view(func(tx *bolt.Tx) error {
		got = lastDaemon(tx.Bucket(metaBucket).Get(daemonKey))
		return nil
	})
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
