package process

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// drawnAs is a tree in short: each pid, with a dot for each level above it, and a ! where it
// was reparented.
func drawnAs(all []KernelProcess) string {
	var words []string
	for _, p := range all {
		word := strings.Repeat(".", p.Level) + fmt.Sprint(p.PID)
		if p.Reparented {
			word += "!"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestKernelProcessesStandWhereTheyBelong(t *testing.T) {
	const keeper = 5
	of := func(pid, parent, group, session int, age float64) KernelProcess {
		return KernelProcess{PID: pid, ParentPID: parent, Group: group, Session: session, Age: age, Main: pid == 10, Reparented: pid != 10 && parent == keeper}
	}
	for what, c := range map[string]struct {
		all  []KernelProcess
		want string
	}{
		"nobody":                         {nil, ""},
		"children, the older first":      {[]KernelProcess{of(12, 10, 10, 10, 1), of(11, 10, 10, 10, 2), of(10, keeper, 10, 10, 3), of(13, 12, 10, 10, 1)}, "10 .11 .12 ..13"},
		"the parent has ended":           {[]KernelProcess{of(10, keeper, 10, 10, 3), of(11, keeper, 10, 10, 2)}, "10 .11!"},
		"that of a session of its own":   {[]KernelProcess{of(10, keeper, 10, 10, 3), of(11, keeper, 11, 11, 2), of(12, 11, 11, 11, 1)}, "10 11! .12"},
		"in the group of another":        {[]KernelProcess{of(10, keeper, 10, 10, 4), of(11, 10, 11, 10, 3), of(12, keeper, 11, 10, 2)}, "10 .11 ..12!"},
		"whose group's first has ended":  {[]KernelProcess{of(10, keeper, 10, 10, 4), of(12, keeper, 11, 10, 2)}, "10 .12!"},
		"in a session without its first": {[]KernelProcess{of(10, keeper, 10, 10, 4), of(12, keeper, 11, 11, 2), of(13, keeper, 11, 11, 3)}, "10 13! 12!"},
		"without a main process":         {[]KernelProcess{of(12, keeper, 10, 10, 2), of(13, 12, 10, 10, 1)}, "12! .13"},
		"moved here by somebody":         {[]KernelProcess{of(10, keeper, 10, 10, 3), of(12, 77, 77, 77, 9)}, "10 12"},
		"the main one first":             {[]KernelProcess{of(12, 77, 77, 77, 9), of(10, keeper, 10, 10, 3)}, "10 12"},
		"the pid is another one's now":   {[]KernelProcess{of(10, keeper, 10, 10, 9), of(11, 10, 11, 11, 1), of(12, keeper, 11, 11, 8)}, "10 .11 12!"},
		"a ring":                         {[]KernelProcess{of(12, 13, 12, 12, 1), of(13, 12, 13, 13, 1)}, "12 .13"},
	} {
		if got := drawnAs(Arrange(c.all)); got != c.want {
			t.Errorf("%s: got %s, want %s", what, got, c.want)
		}
	}
}

// Whatever was read, each process is told once, and behind the one that it stands below.
func TestEachKernelProcessIsToldOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 2000 {
		var all []KernelProcess
		n := r.IntN(12)
		for pid := 1; pid <= n; pid++ {
			any := func() int { return r.IntN(n + 2) }
			all = append(all, KernelProcess{PID: pid, ParentPID: any(), Group: any(), Session: any(), Age: float64(r.IntN(3)), Reparented: r.IntN(2) == 0, Main: pid == 3})
		}
		level := map[int]int{0: -1}
		got := Arrange(all)
		for _, p := range got {
			above, there := level[p.Under]
			if _, twice := level[p.PID]; twice || !there || p.Level != above+1 {
				t.Fatalf("round %d: %+v in %s", round, p, drawnAs(got))
			}
			level[p.PID] = p.Level
		}
		if len(got) != n {
			t.Fatalf("round %d: %d of %d: %s", round, len(got), n, drawnAs(got))
		}
	}
}
