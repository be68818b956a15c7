package integration

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// answersAfterDeath kills the worker and is how long it takes until the next one has
// answered over a new connection.
func (d *daemon) answersAfterDeath(ask func(*client.Client) error) time.Duration {
	d.t.Helper()
	d.hangUp()
	worker := d.worker()
	if worker == 0 {
		d.t.Fatal("there is no worker")
	}
	began := time.Now()
	if err := unix.Kill(worker, unix.SIGKILL); err != nil {
		d.t.Fatal(err)
	}
	for {
		pm, err := client.Dial(d.context(), client.Config{Socket: d.socket, Secret: []byte(theSecret)})
		if err == nil {
			err = ask(pm)
			pm.Close()
		}
		if err == nil {
			return time.Since(began)
		}
		if !errors.Is(err, client.ErrConnectionLost) { // the dying one may have taken it
			d.t.Fatal(err)
		}
	}
}

// idle starts processes that do nothing, every tenth of them with a log.
func (d *daemon) idle(count int) {
	d.t.Helper()
	const connections = 8
	var all sync.WaitGroup
	for k := range connections {
		pm := d.dial(d.t)
		all.Go(func() {
			for i := k; i < count; i += connections {
				if _, err := pm.Start(d.context(), process.Spec{Name: fmt.Sprint("p", i), Logging: process.Logging{Log: i%10 == 0}, Command: "exec sleep 1000"}); err != nil {
					d.t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if d.t.Failed() {
		d.t.FailNow()
	}
}

// TestWorkerAnswersSoonAfterItsDeath holds half of several deaths to the promise, in a
// program without the race detector. Where the machine had something else to do it
// is asked again: one round out of four must pass.
func TestWorkerAnswersSoonAfterItsDeath(t *testing.T) {
	const rounds, deaths = 4, 5
	for processes, limit := range map[int]time.Duration{100: 200 * time.Millisecond, 1000: time.Second} {
		t.Run(fmt.Sprint(processes), func(t *testing.T) {
			if processes > 100 && testing.Short() {
				t.Skip("it takes long")
			}
			d := startDaemon(t, setup{Wrap: instead(plainProgram(t))})
			d.idle(processes)
			for what, ask := range map[string]func(*client.Client) error{
				"status": func(pm *client.Client) error {
					s, err := pm.Status(d.context(), "p1")
					if err == nil && (s.State != process.Running || s.Number != 1) {
						err = fmt.Errorf("%+v", s)
					}
					return err
				},
				"list": func(pm *client.Client) error {
					all, err := pm.List(d.context())
					if err == nil && len(all) != processes {
						err = fmt.Errorf("%d processes in the list", len(all))
					}
					return err
				},
			} {
				median := time.Hour
				for round := 0; round < rounds && median > paced(limit); round++ {
					took := make([]time.Duration, deaths)
					for i := range took {
						took[i] = d.answersAfterDeath(ask)
					}
					slices.Sort(took)
					median = took[deaths/2]
					t.Logf("%s with %d processes after %v", what, processes, took)
				}
				if median > paced(limit) {
					t.Errorf("%s with %d processes is answered within %v after half of the deaths, want %v", what, processes, median, paced(limit))
				}
			}
		})
	}
}
