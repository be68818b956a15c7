package notify

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		text string
		want Message
	}{
		{"READY=1", Message{Ready: true}},
		{"READY=1\nSTATUS=serving\nMAINPID=17\n", Message{Ready: true, HasStatus: true, Status: "serving", MainPID: "17"}},
		{"READY=1\x00", Message{Ready: true}},
		{"RELOADING=1\nMONOTONIC_USEC=123456", Message{Reloading: true}},
		{"STOPPING=1", Message{Stopping: true}},
		{"BARRIER=1", Message{}}, // see the package
		{"STATUS=", Message{HasStatus: true}},
		{"STATUS=a=b = \x1b[1mc\xff", Message{HasStatus: true, Status: "a=b = \x1b[1mc\uFFFD"}},
		{"WATCHDOG=1", Message{Fed: true}},
		{"WATCHDOG=trigger", Message{Trigger: true}},
		{"WATCHDOG_USEC=2500000", Message{Watchdog: 2500 * time.Millisecond}},
		{"ERRNO=2", Message{Errno: 2}},
		// What makes no sense, or is for others.
		{"", Message{}}, {"READY", Message{}}, {"READY=0", Message{}}, {"READY=yes", Message{}}, {"ready=1", Message{}}, {" READY=1", Message{}},
		{"ERRNO=-2", Message{}}, {"ERRNO=99999", Message{}}, {"WATCHDOG=", Message{}},
		{"WATCHDOG_USEC=-1", Message{}}, {"WATCHDOG_USEC=0", Message{}}, {"WATCHDOG_USEC=99999999999999999999", Message{}}, {"WATCHDOG_USEC=31536000000001", Message{}},
		{"FDSTORE=1\nFDNAME=x\nX_OWN=1\n=\n\n==", Message{}},
		// The first counts.
		{"READY=0\nREADY=1\nSTATUS=a\nSTATUS=b", Message{HasStatus: true, Status: "a"}},
	} {
		if got, err := Parse([]byte(test.text)); err != nil || got != test.want {
			t.Errorf("%q: %+v, %v", test.text, got, err)
		}
	}
	long := "STATUS=" + strings.Repeat("ü", 1000)
	if m, err := Parse([]byte(long)); err != nil || m.Status != strings.Repeat("ü", maxStatus-1)+"…" {
		t.Errorf("%q, %v", m.Status, err)
	}
	if _, err := Parse(make([]byte, MaxSize+1)); !errors.Is(err, ErrTooLong) {
		t.Error(err)
	}
	if m, err := Parse([]byte("READY=1\x00STATUS=x")); !errors.Is(err, ErrNUL) || m != (Message{}) {
		t.Errorf("%+v, %v", m, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("READY=1\nSTATUS=serving\nMAINPID=17\n"))
	f.Add([]byte("WATCHDOG_USEC=9223372036854775807\nERRNO=4095\nWATCHDOG=trigger\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data)
		if err != nil && m != (Message{}) {
			t.Errorf("%v, and %+v", err, m)
		}
		if !utf8.ValidString(m.Status) || !utf8.ValidString(m.MainPID) || utf8.RuneCountInString(m.MainPID) > 16*8 {
			t.Errorf("%+v", m)
		}
		if m.Watchdog < 0 || m.Errno < 0 || m.Errno > 4095 {
			t.Errorf("%+v", m)
		}
	})
}
