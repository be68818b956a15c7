package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/client"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// fakeDaemon stands in for a daemon, so that the example runs by itself.
func fakeDaemon() (socket string, stop func()) {
	dir, err := os.MkdirTemp("", "pm")
	if err != nil {
		log.Fatal(err)
	}
	socket = dir + "/pm.sock"
	end, err := serve(socket, newMemory())
	if err != nil {
		log.Fatal(err)
	}
	return socket, func() { end(); os.RemoveAll(dir) }
}

func Example() {
	socket, stop := fakeDaemon()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	// The zero Config finds the daemon of this user.
	pm, err := client.Dial(ctx, client.Config{Socket: socket, Secret: []byte("open sesame")})
	if err != nil {
		log.Fatal(err)
	}
	defer pm.Close()

	web := process.Spec{Name: "web", Command: "exec ./web", Ending: process.Ending{Deadline: time.Hour}}
	status, err := pm.Start(ctx, web)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status.Name, "is", status.State)

	_, err = pm.Start(ctx, web)
	fmt.Println("twice:", errors.Is(err, process.ErrExists))

	status, err = pm.Stop(ctx, "web")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status.Name, "is", status.State)

	// Output:
	// web is running
	// twice: true
	// web is stopped
}

// A command in the foreground, and its exit code.
func ExampleClient_Exec() {
	socket, stop := fakeDaemon()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	pm, err := client.Dial(ctx, client.Config{Socket: socket, Secret: []byte("open sesame")})
	if err != nil {
		log.Fatal(err)
	}
	defer pm.Close()

	run, err := pm.Exec(ctx, process.Exec{Spec: process.Spec{Command: "echo hello; exit 3"}, Remove: true}, os.Stdout)
	if err != nil {
		log.Fatal(err)
	}
	if code, known := run.Code(); known {
		fmt.Println("exit code", code)
	}

	// Output:
	// hello
	// exit code 3
}

// What the last run of a job came to; of one that runs, when it has ended.
func ExampleClient_Wait() {
	socket, stop := fakeDaemon()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	pm, err := client.Dial(ctx, client.Config{Socket: socket, Secret: []byte("open sesame")})
	if err != nil {
		log.Fatal(err)
	}
	defer pm.Close()

	if _, err := pm.Start(ctx, process.Spec{Name: "job", Command: "exec ./job"}); err != nil {
		log.Fatal(err)
	}
	run, err := pm.Wait(ctx, "job", 0)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("run %d: %v, exit code %d\n", run.Number, run.Cause, run.Exit())

	// Output:
	// run 1: exit, exit code 0
}

// What became of last night's backup, and what comes next.
func ExampleClient_Ledger() {
	socket, stop := fakeDaemon()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	pm, err := client.Dial(ctx, client.Config{Socket: socket, Secret: []byte("open sesame")})
	if err != nil {
		log.Fatal(err)
	}
	defer pm.Close()

	entries, err := pm.Ledger(ctx, process.Selection{"backup"}, time.Time{})
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range entries {
		switch e.Outcome {
		case process.Ran, process.CaughtUp:
			fmt.Printf("%s: run %d, %.2f s late\n", e.Time.Format(time.DateOnly), e.Run, e.LateSeconds)
		default:
			fmt.Printf("%s: %s %d times: %s\n", e.Time.Format(time.DateOnly), e.Outcome, e.Times(), e.Reason)
		}
	}

	status, err := pm.SkipNext(ctx, "backup")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status.SkipTime.Format(time.RFC3339), "is skipped")

	// Output:
	// 2030-05-01: run 1, 0.01 s late
	// 2030-05-02: missed 2 times: no daemon ran
	// 2030-05-01T03:00:00Z is skipped
}
