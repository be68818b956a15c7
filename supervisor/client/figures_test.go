package client_test

import (
	"slices"
	"testing"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

func TestFiguresComeAsTheyAreTold(t *testing.T) {
	c := dial(t, daemon(t, newMemory()))
	var told []string
	err := c.Figures(inTime(t), true, func(rows []process.Figures) error {
		for _, r := range rows {
			if !r.Gone && (r.State != process.Running || r.PID != 7 || *r.Pids != 3) {
				t.Errorf("%+v", r)
			}
			told = append(told, r.Name, r.State.String())
		}
		return nil
	})
	if want := []string{"web", "running", "web", ""}; err != nil || !slices.Equal(told, want) {
		t.Errorf("%q, %v, want %q", told, err, want)
	}
}
