package verbs

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func coming() []process.Coming {
	at := func(name string, in, jitter time.Duration, tz string) process.Coming {
		return process.Coming{Name: name, Time: noon.Add(in), Start: noon.Add(in + jitter), TZ: tz}
	}
	skipped, paused := at("skips", 60*time.Hour, 0, ""), at("paused", 61*time.Hour, time.Second, "")
	skipped.Skipped, paused.Paused = true, true
	return []process.Coming{
		at("tick", 0, 0, ""),
		at("tick", 1700*time.Millisecond, 0, ""),
		at("backup", 6*time.Hour, 0, "Europe/Brussels"),
		at("report", 50*time.Hour+7*time.Second, 229*time.Second, ""),
		skipped,
		paused,
	}
}

func TestTheTimesToComeForPeople(t *testing.T) {
	list := append(coming(), process.Coming{Name: "gone", Err: process.NotFound("gone")})
	var text string
	for _, c := range [][]process.Coming{list, coming()[:3]} {
		var b strings.Builder
		if err := (comings{c, noon}).write(&b, style{}); err != nil {
			t.Fatal(err)
		}
		text += b.String() + "\n"
	}
	golden(t, "next.txt", text)
	if got := answer(t, &recorder{}, "!!process.next"); got != "no time of a schedule is to come\n" {
		t.Errorf("got %q", got)
	}
}

func TestTheTimesToComeInJSON(t *testing.T) {
	list := coming()
	text := answer(t, &recorder{coming: list}, "!!process.next format:json")
	golden(t, "next.json", indented(t, text))
	var back []process.Coming
	if err := json.Unmarshal([]byte(text), &back); err != nil || !reflect.DeepEqual(back, list) {
		t.Errorf("got %+v, %v", back, err)
	}
	failed := []process.Coming{{Name: "gone", Err: process.NotFound("gone")}}
	text = answer(t, &recorder{coming: failed}, "!!process.next name:gone,* format:json")
	if err := json.Unmarshal([]byte(text), &back); err != nil || len(back) != 1 || back[0].Name != "gone" || back[0].Err.Error() != failed[0].Err.Error() {
		t.Errorf("%s: got %+v, %v", text, back, err)
	}
	if got := answer(t, &recorder{}, "!!process.next name:backup format:json"); got != "[]\n" {
		t.Errorf("got %q", got)
	}
	if got := answer(t, &recorder{coming: failed}, "!!process.next name:gone format:json"); got != `{"error":"no process 'gone'","code":"not_found"}`+"\n" {
		t.Errorf("got %q", got)
	}
}
