package verbs

import (
	"strings"
	"testing"
	"time"
)

func TestMomentsAreRead(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		t.Skip(err)
	}
	local := time.Local
	time.Local = zone
	t.Cleanup(func() { time.Local = local })
	now := time.Date(2026, 3, 29, 10, 30, 0, 0, zone) // the clocks went forward in this night
	for text, want := range map[string]string{
		"10m":                       "2026-03-29T10:20:00+02:00",
		"12h":                       "2026-03-28T21:30:00+01:00",
		"1d":                        "2026-03-28T09:30:00+01:00",
		"7d":                        "2026-03-22T09:30:00+01:00",
		"1d12h":                     "2026-03-27T21:30:00+01:00",
		"0":                         "2026-03-29T10:30:00+02:00",
		"today":                     "2026-03-29T00:00:00+01:00",
		"yesterday":                 "2026-03-28T00:00:00+01:00",
		"10:30":                     "2026-03-29T10:30:00+02:00",
		"10:31":                     "2026-03-28T10:31:00+01:00",
		"21:04":                     "2026-03-28T21:04:00+01:00",
		"09:05:07":                  "2026-03-29T09:05:07+02:00",
		"2026-01-31":                "2026-01-31T00:00:00+01:00",
		"2026-01-31 15:04":          "2026-01-31T15:04:00+01:00",
		"2026-01-31T15:04:05":       "2026-01-31T15:04:05+01:00",
		"2026-01-31T15:04:05Z":      "2026-01-31T15:04:05Z",
		"2026-01-31T15:04:05-05:00": "2026-01-31T15:04:05-05:00",
	} {
		got, err := parseTime(text, now)
		if want, _ := time.Parse(time.RFC3339, want); err != nil || !got.Equal(want) {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "-5m", "-1d", "tomorrow", "25:00", "12:60", "2026-02-30", "1x", "d", "last night", "YESTERDAY "} {
		if got, err := parseTime(text, now); err == nil || !strings.Contains(err.Error(), "yesterday") {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
}
