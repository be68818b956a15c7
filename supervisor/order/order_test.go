package order

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"testing"
)

func TestCycleIsToldWithItsPath(t *testing.T) {
	g := Graph{"web": {"cache", "db"}, "cache": {"db"}, "db": {"disk"}}
	if got := g.Cycle("web"); got != nil {
		t.Errorf("got %v, want none", got)
	}
	for _, c := range []struct {
		before []string
		want   []string
	}{
		{[]string{"disk"}, []string{"disk", "disk"}},
		{[]string{"cache"}, []string{"disk", "cache", "db", "disk"}},
		{[]string{"web"}, []string{"disk", "web", "db", "disk"}},
		{[]string{"other"}, nil},
	} {
		if got := g.With("disk", c.before).Cycle("disk"); !reflect.DeepEqual(got, c.want) {
			t.Errorf("disk behind %v: got %v, want %v", c.before, got, c.want)
		}
	}
	if len(g["disk"]) > 0 {
		t.Error("With has changed the graph itself")
	}
	g["a"], g["b"] = []string{"b"}, []string{"a"}
	if got := g.Cycle("web"); got != nil {
		t.Errorf("a cycle of others: got %v", got)
	}
}

func TestSortAndBefore(t *testing.T) {
	g := Graph{"web": {"proxy", "db"}, "proxy": {"cache"}, "zebra": nil, "cache": {"db"}}
	if got, want := g.Sort([]string{"zebra", "web", "cache", "db", "alone"}), []string{"alone", "db", "cache", "web", "zebra"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := g.Before("web", []string{"cache", "web"}), []string{"cache"}; !slices.Equal(got, want) { // by way of proxy
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := g.Reversed().Sort([]string{"web", "db", "cache"}), []string{"web", "cache", "db"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// In graphs without a cycle everything comes once, behind all that is before it; the reverse
// order has it the other way round; and an edge that closes a cycle is found.
func TestRandomGraphs(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		g, n := Graph{}, 2+random.IntN(12)
		var names []string
		for i := range n {
			name := strconv.Itoa(i)
			names = append(names, name)
			for j := range i {
				if random.IntN(3) == 0 {
					g[name] = append(g[name], strconv.Itoa(j))
				}
			}
		}
		random.Shuffle(n, func(i, j int) { names[i], names[j] = names[j], names[i] })
		chosen := names[:1+random.IntN(n)]
		sorted, reversed := g.Sort(chosen), g.Reversed().Sort(chosen)
		if len(sorted) != len(chosen) || len(reversed) != len(chosen) {
			t.Fatalf("%v of %v in %v and %v", chosen, g, sorted, reversed)
		}
		for at, name := range sorted {
			for _, before := range g.Before(name, chosen) {
				if !slices.Contains(sorted[:at], before) {
					t.Fatalf("%v: %s stands before %s, in %v", sorted, name, before, g)
				}
				if slices.Index(reversed, name) > slices.Index(reversed, before) {
					t.Fatalf("%v: %s does not stand before %s, in %v", reversed, name, before, g)
				}
			}
		}
		for _, name := range names {
			if g.Cycle(name) != nil {
				t.Fatalf("%s: a cycle in %v", name, g)
			}
			for _, before := range g[name] {
				if path := g.With(before, append(slices.Clone(g[before]), name)).Cycle(before); path == nil || path[0] != before || path[len(path)-1] != before {
					t.Fatalf("%s before %s: got %v in %v", name, before, path, g)
				}
			}
		}
	}
}
