package integration

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// roles are what this binary does as a process under test: role NAME ARGS.
var roles = map[string]func(args []string){
	"touch":   touch,
	"crash":   crash,
	"blocked": blocked,
}

// touch holds and has written to so many bytes, and says so.
func touch(args []string) {
	data := touched(args[0])
	fmt.Println("touched")
	time.Sleep(time.Hour)
	runtime.KeepAlive(data)
}

// touched is so many bytes of memory that were written to.
func touched(bytes string) []byte {
	size, err := strconv.Atoi(bytes)
	if err != nil {
		panic(err)
	}
	// Not the heap, in which the race detector and the collector hold more.
	data, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	for i := 0; i < len(data); i += os.Getpagesize() {
		data[i] = 1
	}
	return data
}

// crash ends by a signal whose action is the default.
func crash(args []string) {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		panic(err)
	}
	unix.Kill(os.Getpid(), syscall.Signal(n))
	time.Sleep(time.Hour)
}

// blocked executes the rest of its arguments with signals blocked.
func blocked(args []string) {
	runtime.LockOSThread()
	mask := unix.Sigset_t{}
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGCHLD} {
		mask.Val[0] |= 1 << (s - 1)
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &mask, nil); err != nil {
		panic(err)
	}
	panic(syscall.Exec(args[0], args, os.Environ()))
}
