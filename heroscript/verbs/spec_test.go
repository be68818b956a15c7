package verbs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/heroscript"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// reread is what arrives of spec at the other end of the wire.
func reread(t *testing.T, spec process.Spec) process.Spec {
	t.Helper()
	text := heroscript.Format(heroscript.Script{StartAction(spec, process.How{})})
	actions, err := heroscript.Parse(text)
	if err != nil || len(actions) != 1 {
		t.Fatalf("%q: %d actions, %v", text, len(actions), err)
	}
	m := &recorder{}
	if err := Run(context.Background(), m, actions[0]).Err; err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return m.spec
}

func checkReread(t *testing.T, spec process.Spec) {
	t.Helper()
	if got := reread(t, spec); !reflect.DeepEqual(got, spec) {
		t.Fatalf("sent %+v\ngot  %+v", spec, got)
	}
}

func TestSpecsArriveAsTheyWereSent(t *testing.T) {
	none, long := time.Duration(0), process.MaxTime
	for _, spec := range []process.Spec{
		{Name: "a", Command: "true", JobID: "j", Dir: "/"},
		{Name: "a", Command: "true"},
		{Name: "true", Command: "false", Logging: process.Logging{Log: true}},
		{Name: "a", Command: "echo 'it''s' \"so\" \\ \\\\ \\' !!process.stop name:b // # \r\n\tx\n\n"},
		{Name: "a", Command: "'", Schedule: process.Schedule{Cron: "@every 10s"}, Ending: process.Ending{Deadline: 1, StopTimeout: &none, StopSignal: 64}},
		{Name: "a", Command: "//", Schedule: process.Schedule{Cron: "0 0 * * *"}, Ending: process.Ending{Deadline: long, StopTimeout: &long, StopSignal: 1}},
		{Name: "a", Command: strings.Repeat("'\\", process.MaxCommand/2)},
	} {
		checkReread(t, spec)
	}
}

func TestRandomSpecsArriveAsTheyWereSent(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	text := func(alphabet string, most int) string {
		runes := []rune(alphabet)
		b := make([]rune, 1+rnd.IntN(most))
		for i := range b {
			b[i] = runes[rnd.IntN(len(runes))]
		}
		return string(b)
	}
	duration := func() time.Duration { return 1 + time.Duration(rnd.Int64N(int64(process.MaxTime))) }
	for range 2000 {
		spec := process.Spec{Name: "n" + text("aZ0._@:-", 20), Command: "x" + text(" \t\r\n'\"\\!#/:aé\u2028\ufeff\U0001F600\x01\x1b", 40)}
		spec.Log = rnd.IntN(2) == 0
		if rnd.IntN(2) == 0 {
			spec.Deadline = duration()
		}
		if rnd.IntN(2) == 0 {
			spec.Cron = fmt.Sprintf("*/%d\t%d,0 * 1\n ", 1+rnd.IntN(99), rnd.IntN(24)) + []string{"?", "0", "mon", "SUN-tue"}[rnd.IntN(4)]
		}
		if rnd.IntN(2) == 0 {
			spec.StopTimeout = new(duration())
		}
		spec.StopSignal = process.Signal(rnd.IntN(65))
		if rnd.IntN(2) == 0 {
			spec.JobID = text("aZ0._:-", 20)
		}
		checkReread(t, spec)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzCommandArrivesAsItWasSent(f *testing.F) {
	for _, command := range []string{"true", "a\nb", "'", `\`, `\'`, "!!x", "\r", "é"} {
		f.Add(command)
	}
	f.Fuzz(func(t *testing.T, command string) {
		if process.ValidateCommand(command) == nil {
			checkReread(t, process.Spec{Name: "a", Command: command})
		}
	})
}
