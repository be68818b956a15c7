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
