package integration

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func TestTimesToComeAreShownInOrder(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, setup{})
	d.start(process.Spec{Name: "yearly", Command: "true", Schedule: process.Schedule{Cron: "0 0 1 1 *", TZ: "Europe/Brussels"}})
	d.start(process.Spec{Name: "hourly", Command: "true", Schedule: process.Schedule{Cron: "0 * * * *", Jitter: 50 * time.Minute}})
	d.start(process.Spec{Name: "service", Command: "exec sleep 1000"})
	r := d.pmclient("next")
	rows := strings.Split(strings.TrimSpace(r.stdout), "\n")
	if r.code != 0 || len(rows) != 3 || !strings.HasPrefix(rows[0], "TIME") || !strings.Contains(rows[1], " hourly ") || !strings.HasSuffix(rows[1], " later") ||
		!strings.Contains(rows[2], " yearly ") || !strings.Contains(rows[2], "  in ") {
		t.Errorf("%d, %s%s", r.code, r.stdout, r.stderr)
	}
	var times []map[string]any
	r = d.pmclient("next", "yearly", "-n", "3", "-format", "json")
	if err := json.Unmarshal([]byte(r.stdout), &times); err != nil || len(times) != 3 {
		t.Fatalf("%v, %+v", err, r)
	}
	for i, c := range times {
		at, err := time.Parse(time.RFC3339, c["time"].(string))
		if err != nil || c["name"] != "yearly" || c["tz"] != "Europe/Brussels" || c["start_time"] != c["time"] || !at.Equal(time.Date(time.Now().UTC().Add(time.Hour).Year()+i, 12, 31, 23, 0, 0, 0, time.UTC)) {
			t.Errorf("%v, %v", c, err)
		}
	}
	for args, want := range map[string]int{"next nobody": 1, "next -n 0": 2, "next -n 1001": 2, "next service": 0, "next hour*": 0} {
		if r := d.pmclient(strings.Fields(args)...); r.code != want {
			t.Errorf("%s: %+v", args, r)
		}
	}
}
