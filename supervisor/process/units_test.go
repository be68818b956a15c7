package process

import (
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "1": time.Second, "30": 30 * time.Second, "0.5": 500 * time.Millisecond, ".25": 250 * time.Millisecond, "5.": 5 * time.Second,
		"1e2": 100 * time.Second, "0.000000001": 1, "1e-10": 0, "3153600000": MaxTime, "8388608.123456789": 8388608123456789,
		"90s": 90 * time.Second, "10m": 10 * time.Minute, "2h": 2 * time.Hour, "1d": 24 * time.Hour, "1d12h": 36 * time.Hour,
		"1h30m": 90 * time.Minute, "500ms": 500 * time.Millisecond, "1.5h": 90 * time.Minute, "36500d": MaxTime, "0s": 0,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", " ", "x", "1 ", " 1", "1,5", "NaN", "Inf", "+Inf", "infinity", "0x10", "0x1p4", "1_000", "1\n", "s", "d", "1w", "1dd", "d1", "+1s",
		"-1", "-0.001", "-1s", "1d-1h", "1e400", "1e99", "3153600001", "36501d", "99999999999d", "9999999h", strings.Repeat("9", 1<<20), strings.Repeat("1h", 1<<20),
	} {
		got, err := ParseDuration(text)
		if err == nil {
			t.Errorf("%.20q: got %v, want an error", text, got)
		} else if strings.Contains(err.Error(), "\n") || len(err.Error()) > 400 {
			t.Errorf("%.20q: the error is not one short line: %v", text, err)
		}
	}
}

func TestFormatDurationIsReadBack(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 999, time.Millisecond, time.Second, 1500 * time.Millisecond, 8388608123456789, MaxTime - 1, MaxTime} {
		if got, err := ParseDuration(FormatDuration(d)); err != nil || got != d {
			t.Errorf("%v: %s is read as %v, %v", d, FormatDuration(d), got, err)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "512": 512, "512B": 512, "1K": 1 << 10, "1k": 1 << 10, "1KB": 1 << 10, "1KiB": 1 << 10, "64M": 64 << 20, "64MiB": 64 << 20,
		"2G": 2 << 30, "3T": 3 << 40, "8388607T": 8388607 << 40, "9223372036854775807": 1<<63 - 1,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "K", "B", "KiB", "1.5G", "-1", "+1", "1 K", "1P", "1IB", "1i", "1KK", "1BB", "1Ki B", "0x10", "1_000", "8388608T", "9223372036854775808", strings.Repeat("9", 1<<20),
	} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%.20q: got %v, want an error", text, got)
		} else if len(err.Error()) > 400 {
			t.Errorf("%.20q: the error has %d bytes", text, len(err.Error()))
		}
	}
}

func TestAShortDurationHasNoZerosBehindIt(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Second: "1s", 90 * time.Second: "1m30s", time.Minute: "1m", 10 * time.Minute: "10m", time.Hour: "1h",
		90 * time.Minute: "1h30m", time.Hour + 5*time.Second: "1h0m5s", 20 * time.Hour: "20h", 1500 * time.Millisecond: "1.5s",
	} {
		if got := ShortDuration(d); got != want {
			t.Errorf("%d: %s, not %s", d, got, want)
		}
	}
}
