package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/border"
	"github.com/freeflowuniverse/processmanager/supervisor/files"
)

// packDelay is how long a rotated file stays as it is. Of a log that rotates
// several times in that time most files are gone before anybody compresses them.
const packDelay = 5 * time.Second

// packTurn is how long one log may have the packer before the others have their turn.
const packTurn = time.Second

// packer compresses rotated files, one at a time. It has a goroutine while there
// is something to do.
type packer struct {
	m     *Mover
	delay time.Duration // packDelay, but in tests

	mu    sync.Mutex
	queue []packJob
	runs  bool
}

type packJob struct {
	log *Log
	due time.Time
}

// add has the rotated files of l compressed, later.
func (k *packer) add(l *Log) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, j := range k.queue {
		if j.log == l {
			return
		}
	}
	select {
	case <-k.m.closed: // the next mover does it
		return
	default:
	}
	k.queue = append(k.queue, packJob{l, time.Now().Add(k.delay)})
	if !k.runs {
		k.runs = true
		k.m.work.Go(k.loop)
	}
}

// pack compresses what is rotated of a log. A fault of ours in that is that log's alone:
// what is not compressed stays as it is.
func (j packJob) pack(stop <-chan struct{}, limit time.Duration) (rest bool, err error) {
	defer border.Catch(func(fault *border.Panic) {
		rest, err = false, fmt.Errorf("cannot compress a log, by a fault of ours: %w", fault)
	})
	return j.log.pack(stop, limit)
}

func (k *packer) loop() {
	for {
		k.mu.Lock()
		if len(k.queue) == 0 {
			k.runs = false
			k.mu.Unlock()
			return
		}
		job := k.queue[0]
		k.mu.Unlock()
		select {
		case <-k.m.closed:
			return
		case <-time.After(time.Until(job.due)):
		}
		k.mu.Lock()
		k.queue = k.queue[1:]
		k.mu.Unlock()
		// A full disk is said by those who write; the file stays as it is.
		rest, err := job.pack(k.m.closed, packTurn)
		if err != nil && !errors.Is(err, ErrClosed) && !isFull(err) {
			job.log.report(err)
		}
		if rest {
			k.add(job.log)
		}
	}
}

// pack compresses all files but the current one, as many as it begins within limit,
// and reports whether there are more.
func (l *Log) pack(stop <-chan struct{}, limit time.Duration) (rest bool, err error) {
	list, err := segments(l.dir)
	if err != nil || len(list) == 0 {
		return false, err
	}
	begun := time.Now()
	for _, s := range list[:len(list)-1] {
		if s.plain && time.Since(begun) > limit {
			return true, nil
		}
		switch {
		case s.plain && s.packed: // somebody was killed before he could remove it
			err = os.Remove(s.path(plainSuffix))
		case s.plain:
			err = l.packOne(s, stop)
		}
		if isTooLarge(err) { // that does not become smaller; it stays as it is
			continue
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // too old by now
			return false, fmt.Errorf("cannot compress a log: %w", err)
		}
	}
	return false, nil
}

func (l *Log) packOne(s segment, stop <-chan struct{}) error {
	from, err := os.Open(s.path(plainSuffix))
	if err != nil {
		return err
	}
	defer from.Close()
	temp := s.path(packedSuffix) + unfinished
	to, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	err = pack(to, from, stop)
	if err == nil {
		err = to.Sync() // what it replaces may have been on the disk for long
	}
	if err := errors.Join(err, to.Close()); err != nil {
		return err
	}
	l.mu.Lock() // nobody removes the old ones meanwhile
	defer l.mu.Unlock()
	if _, err := os.Stat(s.path(plainSuffix)); err != nil {
		return err
	}
	if err := files.Rename(temp, s.path(packedSuffix)); err != nil {
		return err
	}
	defer l.packed(s.base)
	return os.Remove(s.path(plainSuffix))
}
