package logs

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// missingLink is where a log says what is missing and not yet said in it, for the
// next mover. A short symbolic link needs no block, so a full disk takes it.
const missingLink = "missing"

const missingLayout = "2006-01-02T15:04:05Z"

// noteMissing has what is missing outlive the mover. Errors count for nothing: the
// disk is full, or worse.
func (l *Log) noteMissing() {
	if l.missing == 0 {
		return
	}
	path := l.dir + "/" + missingLink
	os.Remove(path + unfinished)
	text := fmt.Sprintf("%d %s %v", l.missing, l.since.UTC().Format(missingLayout), reason(l.trouble))
	if os.Symlink(text, path+unfinished) == nil {
		os.Rename(path+unfinished, path)
	}
}

// recallMissing takes up what a former mover noted.
func (l *Log) recallMissing() {
	text, err := os.Readlink(l.dir + "/" + missingLink)
	if err != nil {
		return
	}
	part := strings.SplitN(text, " ", 3)
	if len(part) < 3 {
		return
	}
	since, err := time.Parse(missingLayout, part[1])
	if err != nil {
		return
	}
	if _, err := fmt.Sscan(part[0], &l.missing); err != nil {
		return
	}
	l.since, l.trouble = since, errors.New(part[2])
	l.dropped.Add(l.missing)
}

// sayMissing writes the line that stands for what is missing.
func (l *Log) sayMissing(now time.Time) error {
	if l.missing == 0 {
		return nil
	}
	err := l.cur.say(fmt.Sprintf("processmanager: %d bytes of output are missing here: nothing could be written from %s to %s: %v\n",
		l.missing, l.since.UTC().Format(missingLayout), now.UTC().Format(missingLayout), reason(l.trouble)), now)
	if err == nil {
		os.Remove(l.dir + "/" + missingLink)
	}
	return err
}

// reason is err without the operation and the path.
func reason(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
