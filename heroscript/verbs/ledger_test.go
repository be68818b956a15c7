package verbs

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// entries has one of each.
func entries() []process.LedgerRecord {
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	of := func(e process.LedgerEntry) process.LedgerRecord {
		return process.LedgerRecord{Name: "backup", LedgerEntry: e}
	}
	return []process.LedgerRecord{
		of(process.LedgerEntry{Time: at(0), Outcome: process.Missed, Reason: "the machine was off", From: at(0), To: at(30), Count: 31}),
		of(process.LedgerEntry{Time: at(31), Outcome: process.CaughtUp, Run: 11, LateSeconds: 61.6, Reason: "no daemon ran"}),
		of(process.LedgerEntry{Time: at(32), Outcome: process.Ran, Run: 12, LateSeconds: 0.12}),
		of(process.LedgerEntry{Time: at(33), Outcome: process.Skipped, Reason: "run 12 went on"}),
		of(process.LedgerEntry{Time: at(34), Outcome: process.Queued, Run: 13, LateSeconds: 7384}),
		of(process.LedgerEntry{Time: at(35), Outcome: process.Replaced, Run: 14, LateSeconds: 9.94}),
		of(process.LedgerEntry{Time: at(36).Add(7 * time.Second), Outcome: process.SkippedOnRequest}),
		of(process.LedgerEntry{Time: at(37), Outcome: process.WhilePaused, From: at(37), To: at(38), Count: 2}),
		of(process.LedgerEntry{Time: at(39), Outcome: process.Ran, Run: 15}),
		of(process.LedgerEntry{Time: at(40), Outcome: process.Missed, Reason: "the machine slept \x1b[31m"}),
	}
}

func TestTheLedgerForPeople(t *testing.T) {
	golden(t, "ledger.txt", answer(t, &recorder{ledger: entries()}, "!!process.ledger name:backup"))
	several := append(entries()[:2], process.LedgerRecord{Name: "gone", Err: process.NotFound("gone")})
	golden(t, "ledgers.txt", answer(t, &recorder{ledger: several}, "!!process.ledger name:backup,gone"))
	if got := answer(t, &recorder{}, "!!process.ledger name:backup"); got != "no time of a schedule has come\n" {
		t.Errorf("got %q", got)
	}
}

func TestTheLastEntriesOfEach(t *testing.T) {
	others := entries()[:3]
	for i := range others {
		others[i].Name = "other"
	}
	list := append(append(entries(), others...), process.LedgerRecord{Name: "gone", Err: process.NotFound("gone")})
	var got []string
	for _, r := range lastOfEach(list, 2) {
		got = append(got, fmt.Sprintf("%s %d", r.Name, r.Run))
	}
	if want := []string{"backup 15", "backup 0", "other 11", "other 12", "gone 0"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	text := answer(t, &recorder{ledger: entries()}, "!!process.ledger name:backup limit:1 format:json")
	if strings.Count(text, "outcome") != 1 || !strings.Contains(text, "the machine slept") {
		t.Errorf("got %s", text)
	}
	for _, n := range []string{"0", "-1", "x"} {
		if got := answer(t, &recorder{}, "!!process.ledger name:backup limit:"+n); !strings.Contains(got, "is not a number of entries: 1 or more") {
			t.Errorf("limit:%s: %s", n, got)
		}
	}
}

func TestTheLedgerInJSON(t *testing.T) {
	text := answer(t, &recorder{ledger: entries()}, "!!process.ledger name:backup format:json")
	golden(t, "ledger.json", indented(t, text))
	var back []process.LedgerRecord
	if err := json.Unmarshal([]byte(text), &back); err != nil || !reflect.DeepEqual(back, entries()) {
		t.Errorf("got %+v, %v", back, err)
	}
	failed := []process.LedgerRecord{{Name: "gone", Err: process.NotFound("gone")}}
	text = answer(t, &recorder{ledger: failed}, "!!process.ledger name:gone,* format:json")
	if err := json.Unmarshal([]byte(text), &back); err != nil || len(back) != 1 || !reflect.DeepEqual(back[0].Err.Error(), failed[0].Err.Error()) || back[0].Name != "gone" {
		t.Errorf("%s: got %+v, %v", text, back, err)
	}
	if got := answer(t, &recorder{}, "!!process.ledger name:backup format:json"); got != "[]\n" {
		t.Errorf("got %q", got)
	}
	if got := answer(t, &recorder{ledger: failed}, "!!process.ledger name:gone format:json"); got != `{"error":"no process 'gone'","code":"not_found"}`+"\n" {
		t.Errorf("got %q", got)
	}
}

func TestPauseResumeAndSkipSayWhatTheyDid(t *testing.T) {
	s := scheduled()
	s.SkipTime = s.NextTime.Add(-24 * time.Hour)
	paused := s
	paused.SchedulePaused = true
	never := s
	never.NextTime = time.Time{}
	for _, c := range []struct {
		script string
		status process.Status
		want   string
	}{
		{"schedule_pause", paused, "process 'backup': its schedule is paused: times pass without a run until schedule_resume\n"},
		{"schedule_resume", s, "process 'backup': its schedule goes on, next run at 2030-05-02 00:00 UTC\n"},
		{"schedule_resume", never, "process 'backup': its schedule goes on, next run never: no time of its schedule comes within 40 years\n"},
		{"skip_next", s, "process 'backup': the time 2030-05-01 00:00 UTC is skipped, next run at 2030-05-02 00:00 UTC\n"},
		{"skip_next", paused, "process 'backup': the time 2030-05-01 00:00 UTC is skipped, next run when its schedule is resumed\n"},
	} {
		if got := answer(t, &recorder{status: c.status}, "!!process."+c.script+" name:backup"); got != c.want {
			t.Errorf("%s: got %q, want %q", c.script, got, c.want)
		}
	}
	if got := answer(t, &recorder{all: []process.Status{paused}}, "!!process.list"); !strings.Contains(got, " paused ") {
		t.Errorf("list does not show that its schedule is paused: %s", got)
	}
}

func TestAnEventSaysWhichTimeIsSkipped(t *testing.T) {
	got := event(process.Event{Seq: 7, Time: noon, Name: "backup", Kind: process.EventSkipNext, SkipTime: noon.Add(time.Hour)})
	if want := "7  2030-05-01 12:00:00  backup skip next 2030-05-01 13:00 UTC"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
