package process

import (
	"encoding/json"
	"testing"
	"time"
)

func TestTimesInARowShareAnEntry(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC) }
	e := LedgerEntry{Time: at(1), Outcome: Missed, Reason: "no daemon ran"}
	for minute := 2; minute < 5; minute++ {
		if !e.Join(LedgerEntry{Time: at(minute), Outcome: Missed, Reason: "no daemon ran"}) {
			t.Fatal("a missed time takes an entry of its own behind a missed one")
		}
	}
	if !e.Join(LedgerEntry{Time: at(5), From: at(5), To: at(9), Count: 5, Outcome: Missed, Reason: "no daemon ran"}) {
		t.Fatal("several take an entry of their own behind several")
	}
	for _, other := range []LedgerEntry{
		{Time: at(10), Outcome: WhilePaused, Reason: "no daemon ran"},
		{Time: at(10), Outcome: Missed, Reason: "the clock jumped"},
		{Time: at(9), Outcome: Missed, Reason: "no daemon ran"},
	} {
		if e.Join(other) {
			t.Errorf("%+v joins what is something else", other)
		}
	}
	skipped := LedgerEntry{Time: at(1), Outcome: Skipped}
	if skipped.Join(LedgerEntry{Time: at(2), Outcome: Skipped}) {
		t.Error("skipped times share an entry")
	}
	text, err := json.Marshal(e)
	want := `{"time":"2026-01-01T00:01:00Z","outcome":"missed","reason":"no daemon ran","from":"2026-01-01T00:01:00Z","to":"2026-01-01T00:09:00Z","count":9}`
	if err != nil || string(text) != want {
		t.Errorf("got %s, %v", text, err)
	}
	var back LedgerEntry
	if err := json.Unmarshal(text, &back); err != nil || back != e {
		t.Errorf("got %+v, %v", back, err)
	}
}
