package supervisor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Processes that need one another are started, stopped, changed and end by themselves, all at
// once. When all is quiet nobody waits for what is there, and nobody who asked waits for what
// will not come; and what was told of the runs fits together. That no run begins while
// something is not there is the machine's, see TestRandomLives.
func TestRandomNeedsComeToRest(t *testing.T) {
	lives := 40
	if testing.Short() {
		lives = 8
	}
	for life := range lives {
		w := newWorld(t)
		s := w.s
		r := rand.New(rand.NewPCG(7, uint64(life)))
		const n = 6
		name := func(i int) string { return fmt.Sprint("p", i) }
		needs := func(i int) string { // of those before it, so that there is no cycle
			var list []string
			for j := range i {
				switch r.IntN(5) {
				case 0:
					list = append(list, name(j))
				case 1:
					list = append(list, name(j)+":completed")
				}
			}
			return strings.Join(list, ",")
		}
		for i := range n {
			if _, _, err := s.register(behind(name(i), needs(i)), nil, ""); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		var clients sync.WaitGroup
		for range 4 {
			random := rand.New(rand.NewPCG(uint64(life), r.Uint64()))
			changes := make([]string, n)
			for i := range changes {
				changes[i] = needs(i)
			}
			clients.Go(func() {
				for range 12 {
					i := random.IntN(n)
					var op process.Operation
					switch random.IntN(6) {
					case 0, 1, 2:
						op = process.StartAgain{}
					case 3:
						op = process.Restart{}
					case 4:
						op = process.Stop{}
					case 5:
						op = process.Set{Settings: []process.Setting{{Field: "needs", Value: changes[i]}}}
					}
					// A start waits for as long as a job that it needs goes on: nobody else ends that here.
					asked, end := context.WithTimeout(ctx, 50*time.Millisecond)
					list, err := s.Do(asked, process.Selection{name(i)}, op)
					if err = errors.Join(err, asked.Err()); err == nil {
						err = list[0].Err
					}
					end()
					if errors.Is(err, process.ErrInternal) || errors.Is(err, process.ErrStuck) {
						t.Errorf("life %d: %T of %s: %v", life, op, name(i), err)
					}
					for _, g := range w.alive(name(random.IntN(n))) {
						if random.IntN(3) == 0 {
							g.endWith(random.IntN(2))
						}
					}
				}
			})
		}
		clients.Wait()
		quiet := func() (wrong string) {
			for i := range n {
				p, err := s.lookup(name(i))
				if err != nil {
					return err.Error()
				}
				said := make(chan string, 1)
				p.inbox.put(func() {
					text := ""
					if p.machine.Rest == process.Waiting && !p.machine.Busy() {
						switch vain := len(p.needs.Lost()) > 0; {
						case len(p.needs.Missing()) == 0:
							text = name(i) + " waits for what is there"
						case vain && len(p.waiting) > 0:
							text = name(i) + " has told nobody that it waits in vain"
						}
					}
					said <- text
				})
				if text := <-said; text != "" {
					wrong = text
				}
			}
			return wrong
		}
		wrong := quiet()
		for end := time.Now().Add(20 * time.Second); wrong != "" && time.Now().Before(end); wrong = quiet() {
			select { // something may be under way
			case <-s.store.Told():
			case <-time.After(20 * time.Millisecond):
			}
		}
		if wrong != "" {
			t.Errorf("life %d: %s", life, wrong)
		}
		if err := told(w.events()); err != nil && !strings.HasPrefix(err.Error(), "of {") { // some runs go on
			t.Errorf("life %d: %v", life, err)
		}
		cancel()
		s.loopsClosed()
		s.closeParts()
		if t.Failed() {
			return
		}
	}
}
