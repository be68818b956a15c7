package probe

import (
	"errors"

	"golang.org/x/sys/unix"
)

// NotAsked is why a probe could not be asked: something was short here, or in the way. It says
// nothing about who was to be asked.
type NotAsked struct{ Err error }

func (e *NotAsked) Error() string { return e.Err.Error() }

func (e *NotAsked) Unwrap() error { return e.Err }

// short reports whether an error is that of a machine that has too little of something.
func short(err error) bool {
	for _, errno := range []error{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOBUFS, unix.EADDRNOTAVAIL} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
