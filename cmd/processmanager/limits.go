package main

import (
	"fmt"

	"github.com/freeflowuniverse/processmanager/cgroup"
	"github.com/freeflowuniverse/processmanager/supervisor"
	"github.com/freeflowuniverse/processmanager/supervisor/doctor"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// checkLimits refuses limits of all runs together that this host cannot enforce, before
// anything is started. The worker sets them.
func (p *place) checkLimits() error {
	err := supervisor.CheckLimits(p.groups.instance, p.limits, "/proc", func(controller string) (why, mend string) {
		return doctor.Lack(doctor.Config{Proc: "/proc", Root: p.Cgroup, Runs: p.groups.runs().Path(), User: userManager(p.groups.host, p.Cgroup)}, controller)
	})
	if err != nil {
		return fmt.Errorf("-limit: %w", err)
	}
	return nil
}

// lacking are the limits that take a controller which is missing, with that controller.
func lacking(l process.Limits, missing []string) (refused []error) {
	for _, controller := range missing {
		for _, name := range cgroup.LimitsOf(controller) {
			if process.FieldNamed(name).Text(process.Spec{Limits: l}) != "" {
				refused = append(refused, fmt.Errorf("%s: this host cannot enforce it: runs have no %s controller", name, controller))
			}
		}
	}
	return refused
}
