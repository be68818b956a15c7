package process

import (
	"reflect"
	"strings"
	"testing"
)

func TestNeedsAreReadAndKeptInOneForm(t *testing.T) {
	var s Spec
	if err := FieldNamed("needs").Set(&s, " db, cache  migrate:completed\n"); err != nil || s.Needs != "db,cache,migrate:completed" {
		t.Errorf("got %q, %v", s.Needs, err)
	}
	if got, want := s.AllNeeds(), []Need{{"db", false}, {"cache", false}, {"migrate", true}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if err := FieldNamed("after").Set(&s, "cache,log"); err != nil {
		t.Error(err)
	}
	if got, want := s.Before(), []string{"db", "cache", "migrate", "log"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestNeedsThatCannotBe(t *testing.T) {
	for _, c := range []struct{ field, value, says string }{
		{"needs", "db,-x", "-x"},
		{"needs", "db,cache,db", "db is there twice"},
		{"needs", "db,db:completed", "db is there twice"},
		{"needs", ":completed", ":completed"},
		{"needs", "batch-*", "batch-*"},
		{"needs", strings.Repeat("a", MaxName+1), "no name"},
		{"after", "db:completed", "db:completed"},
		{"needs", "a" + strings.Join(strings.Split(strings.Repeat("b", MaxNeeds+1), ""), ",b") + ",c", "twice"},
	} {
		if err := FieldNamed(c.field).Set(&Spec{}, c.value); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %.40q: got %v, want something with %q", c.field, c.value, err, c.says)
		}
	}
	s := Spec{Name: "web", Command: "true", Ordering: Ordering{After: "web"}}
	if err := s.Validate(); err == nil || !strings.HasPrefix(err.Error(), "after: web cannot come before itself") {
		t.Errorf("got %v", err)
	}
	s.Ordering = Ordering{Needs: "web"}
	if err := s.Validate(); err == nil || !strings.HasPrefix(err.Error(), "needs: web cannot come before itself") {
		t.Errorf("got %v", err)
	}
	if err := FieldNamed("after").Set(&s, "-x"); err == nil || strings.Contains(err.Error(), "completed") {
		t.Errorf("after is said to take what it does not: %v", err)
	}
}
