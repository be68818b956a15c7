package logs

import (
	"context"
	"errors"
	"io"
	"math"
	"regexp"
	"time"
)

// Query says which lines to read, and how. The zero value is all that is kept.
//
// A run's end ends its last line: where the next run has written too, and the line has
// no end in the file, Read puts one. So bytes are exactly those of the file where they
// are of one run; of several runs they are but for these ends. An offset does not count
// them, and an answer that goes on From another's end has them where one answer has.
type Query struct {
	// Lines is how many of the last lines that the rest of the query asks for; 0 is
	// all of them. A last line without an end counts as one.
	Lines int
	// From is the offset to begin at, as Read returned it, for one who read to
	// there before. An offset beyond the end is of a log that was since removed: it
	// counts as 0.
	From int64
	// Since and Until bound the times of lines: from Since on, before Until. A line
	// has the time of its first byte. Zero is no bound.
	Since, Until time.Time
	// Run is the number of one run; 0 is all of them.
	Run uint64
	// Grep selects lines. A line longer than 1 MiB is matched in pieces.
	Grep *regexp.Regexp
	// Times puts the time before each line, in UTC, as 2006-01-02T15:04:05.000Z and
	// a blank. How exact it is says the package comment. Unknown is all zeros.
	Times bool
	// Follow goes on with what is written from then on, until the context ends or
	// the log is removed; with Run, until that run's successor writes. It excludes
	// Until.
	Follow bool
	// Progress is told, after each write of whole lines (of bytes, when neither
	// Grep nor Times is set), which offset to go on From; also, when there is
	// nothing yet to follow, where it begins. Default: nobody is told.
	Progress func(next int64)
	// Missing is told when bytes that were asked for are no longer kept, because
	// the reader is slower than the rotation. Default: nobody is told.
	Missing func(from, to int64)
}

// TimeLayout is how Query.Times writes times.
const TimeLayout = "2006-01-02T15:04:05.000Z"

const (
	maxLine   = 1 << 20
	openDelay = time.Second // for which a follower waits for the rest of a line
	readBlock = 128 << 10
)

// Read writes what q asks for to w, and returns the offset to go on From. What the
// process wrote before the call is there, as far as it can be written. Errors are
// of w, of the files, and of the context while it follows.
func (l *Log) Read(ctx context.Context, q Query, w io.Writer) (next int64, err error) {
	if q.Follow {
		if !q.Until.IsZero() {
			return q.From, errors.New("a log is either followed or read until a time, not both")
		}
		l.followers.Add(1)
		defer l.followers.Add(-1)
	}
	l.flush()
	v := &view{dir: l.dir}
	defer v.close()
	spans, err := v.bounds(q)
	if err != nil {
		return q.From, err
	}
	from := spans[0].from
	r := reader{q: q, w: w, view: v, off: from, next: from}
	if from == q.From && from > 0 && q.Grep == nil {
		if before, err := v.readFull(from-1, from); err == nil && len(before) > 0 {
			r.open = before[0] != '\n'
		}
	}
	if q.From > 0 && q.From < from && q.From < v.start() {
		r.miss(q.From, v.start())
	}
	last := len(spans) - 1
	for i, s := range spans {
		if err := r.jump(s.from); err != nil {
			return r.next, err
		}
		if i == last && q.Follow {
			break
		}
		if err := r.copy(ctx, s.to); err != nil {
			return r.next, err
		}
	}
	if !q.Follow {
		return r.next, r.flush()
	}
	from = r.off
	patience := time.NewTimer(openDelay)
	defer patience.Stop()
	waiting := false // for the rest of a line
	for begun := false; ; begun = true {
		changed, err := l.nextChange()
		if err != nil {
			return r.next, errors.Join(r.flush(), err)
		}
		limit, ended := int64(math.MaxInt64), false
		if q.Run > 0 {
			if r.off, limit, ended, err = v.follow(q.Run, r.off); err != nil {
				return r.next, err
			}
		}
		behind := r.next
		if err := r.copy(ctx, limit); err != nil {
			return r.next, err
		}
		if r.next > behind || len(r.line) > 0 && !waiting {
			patience.Reset(openDelay)
		}
		waiting = len(r.line) > 0
		if ended {
			return r.next, r.flush()
		}
		if !begun && r.next == from {
			if err := r.write(nil, len(r.line)); err != nil {
				return r.next, err
			}
		}
		for waits := true; waits; {
			select {
			case <-ctx.Done():
				return r.next, ctx.Err()
			case <-changed:
				waits = false
			case <-patience.C:
				waiting = false
				if err := r.flushOpen(); err != nil {
					return r.next, err
				}
			}
		}
	}
}

// follow is what there is of run from off on, by now, and whether that is all.
func (v *view) follow(run uint64, off int64) (from, to int64, ended bool, err error) {
	if err := v.refresh(); err != nil {
		return 0, 0, false, err
	}
	// Before the index: what stands in the file has its entry.
	if to, err = v.end(); err != nil {
		return 0, 0, false, err
	}
	if from, err = v.first(func(e entry) bool { return e.run >= run }); err != nil {
		return 0, 0, false, err
	}
	next, err := v.first(func(e entry) bool { return e.run > run })
	if from == math.MaxInt64 {
		return off, off, false, err // not yet
	}
	return max(off, from), min(to, next), next < math.MaxInt64, err
}

// bounds are the ranges of bytes that q asks for, at least one.
func (v *view) bounds(q Query) (spans []span, err error) {
	if err := v.refresh(); err != nil {
		return nil, err
	}
	end, err := v.end()
	if err != nil {
		return nil, err
	}
	in := span{q.From, end}
	if in.from > end {
		in.from = 0
	}
	in.from = max(in.from, v.start())
	if q.Run > 0 {
		at, err := v.first(func(e entry) bool { return e.run >= q.Run })
		if err != nil {
			return nil, err
		}
		in.from = max(in.from, min(at, end))
		if at, err = v.first(func(e entry) bool { return e.run > q.Run }); err != nil {
			return nil, err
		}
		in.to = max(min(in.to, at), in.from)
	}
	spans = []span{in}
	if !q.Since.IsZero() || !q.Until.IsZero() {
		if spans, err = v.within(q, in); err != nil {
			return nil, err
		}
	}
	if q.Lines > 0 {
		var match func([]byte) bool
		if q.Grep != nil {
			match = q.Grep.Match
		}
		first := len(spans) - 1
		for left := q.Lines; ; first-- {
			if spans[first].from, left, err = v.lastLines(left, spans[first], match); err != nil {
				return nil, err
			}
			if left == 0 || first == 0 {
				break
			}
		}
		spans = spans[first:]
	}
	if q.Follow && spans[len(spans)-1].to < in.to {
		spans = append(spans, span{in.to, in.to})
	}
	return spans, nil
}
