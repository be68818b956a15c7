package process

import "time"

// LedgerEntry says what became of one time of a schedule, or of several in a row of which
// the same became. Each time is in exactly one.
type LedgerEntry struct {
	Time    time.Time `json:"time"` // of several the first
	Outcome Fate      `json:"outcome"`

	Run         uint64  `json:"run,omitempty"`          // that came of it; 0: none has, or not yet
	LateSeconds float64 `json:"late_seconds,omitempty"` // that it began after its time
	Reason      string  `json:"reason,omitempty"`       // for people: why nothing has begun at the time

	// Of several: the first and the last, and how many.
	From  time.Time `json:"from,omitzero"`
	To    time.Time `json:"to,omitzero"`
	Count int       `json:"count,omitempty"`
}

// Fate is what became of a time of a schedule.
type Fate uint8

// What can become of one.
const (
	Ran              Fate = iota + 1 // a run began
	Skipped                          // nothing began, as overlap says or because nothing could
	Queued                           // it waits, or waited, for what ran; Run is what came of it then
	Replaced                         // what ran makes way for it, or made way; Run is what came of it then
	Missed                           // no daemon ran, the machine was off or slept, or the clock jumped
	CaughtUp                         // the same, and a run began later
	WhilePaused                      // the schedule was paused
	SkippedOnRequest                 // somebody had asked for that
)

var fateNames = names[Fate]{"outcome", []string{
	Ran: "ran", Skipped: "skipped", Queued: "queued", Replaced: "replaced", Missed: "missed", CaughtUp: "caught_up",
	WhilePaused: "paused", SkippedOnRequest: "skipped_on_request",
}}

func (f Fate) String() string                { return fateNames.text(f) }
func (f Fate) MarshalText() ([]byte, error)  { return fateNames.marshal(f) }
func (f *Fate) UnmarshalText(b []byte) error { return fateNames.unmarshal(f, b) }

// Shared reports whether times in a row of which this became share an entry.
func (f Fate) Shared() bool { return f == Missed || f == WhilePaused }

// Times is how many times of the schedule an entry stands for.
func (e *LedgerEntry) Times() int { return max(e.Count, 1) }

// Last is the last of the times that an entry stands for.
func (e *LedgerEntry) Last() time.Time {
	if e.To.IsZero() {
		return e.Time
	}
	return e.To
}

// Join makes an entry stand for later times as well, of which the same became for the same
// reason. It is false where they need an entry of their own.
func (e *LedgerEntry) Join(later LedgerEntry) bool {
	if !e.Outcome.Shared() || e.Outcome != later.Outcome || e.Reason != later.Reason || !later.Time.After(e.Last()) {
		return false
	}
	e.From, e.To, e.Count = e.Time, later.Last(), e.Times()+later.Times()
	return true
}
