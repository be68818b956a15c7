package integration

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// The clocks of this zone, as those of Pacific/Chatham each April, were put back from
// 03:45 to 02:45, half a minute ago: 03:00 was there and comes again.
func TestTimeThatComesAgainRunsOnce(t *testing.T) {
	t.Parallel()
	now := time.Now()
	change := now.Add(-30 * time.Second).Unix()
	before := 3*3600 + 45*60 - change%86400
	d := startDaemon(t, setup{Env: []string{"ZONEINFO=" + zoneDir(t, change, before, before-3600)}})
	for _, expr := range []string{"0 3 * * *", "50 2 * * *"} {
		name := "at-" + strings.Fields(expr)[0]
		s := d.start(process.Spec{Name: name, Command: "true", Schedule: process.Schedule{Cron: "CRON_TZ=Made/Zone " + expr}})
		if wait := s.NextTime.Sub(now); wait < 23*time.Hour || wait > 26*time.Hour {
			t.Errorf("%q: next in %v", expr, wait)
		}
	}
	d.end(unix.SIGTERM) // which it hears
	d.launch()
	for _, s := range d.list() {
		if s.State != process.Scheduled || s.LastRun != nil || !s.NextTime.After(now) {
			t.Errorf("%+v", s)
		}
	}
}

// A host without zone data: the daemon has its own.
func TestZonesAreKnownWithoutZoneData(t *testing.T) {
	t.Parallel()
	// The library would find Go's own, too.
	d := startDaemon(t, setup{Private: true, Env: []string{"TZ=Pacific/Chatham", "GOROOT=/nonexistent"}, Wrap: []string{"/bin/sh", "-c",
		`if [ -d /usr/share/zoneinfo ]; then mount -t tmpfs tmpfs /usr/share/zoneinfo || exit; fi; exec "$0" "$@"`}})
	zoned := d.start(process.Spec{Name: "zoned", Command: "true", Schedule: process.Schedule{Cron: "CRON_TZ=Pacific/Chatham 0 3 * * *"}})
	local := d.start(process.Spec{Name: "local", Command: "true", Schedule: process.Schedule{Cron: "0 3 * * *"}})
	if m := zoned.NextTime.Minute(); m != 15 || !local.NextTime.Equal(zoned.NextTime) {
		t.Errorf("next at %v, and by the local zone at %v", zoned.NextTime, local.NextTime)
	}
	if text := d.log.since(0); strings.Contains(text, "time zone") {
		t.Error(text)
	}
}

// zoneDir is a directory of zone data with the zone Made/Zone in it, whose clocks are
// ahead of UTC by one number of seconds before the change, and by another after it.
func zoneDir(t *testing.T, change, before, after int64) string {
	t.Helper()
	var file bytes.Buffer
	for range 2 { // the first is for those who read 32 bits; it fits there too
		file.WriteString("TZif2" + strings.Repeat("\x00", 15))
		binary.Write(&file, binary.BigEndian, []uint32{0, 0, 0, 1, 2, 8}) // one transition, two types
		if file.Len() == 44 {
			binary.Write(&file, binary.BigEndian, int32(change))
		} else {
			binary.Write(&file, binary.BigEndian, change)
		}
		file.WriteByte(1) // to the second type
		binary.Write(&file, binary.BigEndian, int32(before))
		file.WriteString("\x00\x00")
		binary.Write(&file, binary.BigEndian, int32(after))
		file.WriteString("\x00\x04ONE\x00TWO\x00")
	}
	file.WriteString("\n\n")
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/Made", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/Made/Zone", file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}
