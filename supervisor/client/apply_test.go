package client_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func TestDefinitionsTravelBothWays(t *testing.T) {
	m := newMemory()
	c := dial(t, daemon(t, m))
	if s, err := c.Define(inTime(t), process.Spec{Name: "a", Command: "x"}); err != nil || s.State != process.Stopped || s.Command != "x" {
		t.Errorf("%+v, %v", s, err)
	}
	a := process.Application{Path: "/d", Files: []process.File{{Path: "/d/a.hero", Text: "x\n"}}, Prune: true}
	rows, err := c.Apply(inTime(t), a)
	if err != nil || len(rows) != 2 || !reflect.DeepEqual(m.applied, a) {
		t.Fatalf("%+v, %v; asked %+v", rows, err, m.applied)
	}
	if want := (process.Applied{Name: "a", Action: process.ApplyNew, Source: "/d", State: process.Running, Run: 1, PID: 7}); !reflect.DeepEqual(rows[0], want) {
		t.Errorf("%+v, want %+v", rows[0], want)
	}
	if b := rows[1]; b.Action != process.ApplyChanged || !errors.Is(b.Err, process.ErrStore) || b.Err.Error() != "no disk" || len(b.Fields) != 1 {
		t.Errorf("%+v", b)
	}
	all, err := c.Export(inTime(t), process.Selection{"a", "b"})
	if err != nil || len(all) != 2 || all[0].Text != "!!process.define name:a\n" || !errors.Is(all[1].Err, process.ErrNotFound) || all[1].Name != "b" {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := c.Export(inTime(t), process.Selection{"b"}); !errors.Is(err, process.ErrNotFound) {
		t.Errorf("%v", err)
	}
}
