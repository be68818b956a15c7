package supervisor

import (
	"os"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// Samples are what other tools are told of all processes, by name.
func (s *Supervisor) Samples() []process.Sample {
	all := s.all()
	samples := make([]process.Sample, len(all))
	for i, p := range all {
		p.sample(&samples[i])
	}
	return samples
}

// sample fills in what is told of one.
func (p *managed) sample(to *process.Sample) {
	v := p.view.Load()
	for {
		*to = process.Sample{Name: p.name, State: v.state, Start: v.run.Start, Scheduled: v.times != nil, Next: v.next}
		if v.last != nil {
			to.LastExitCode = v.last.ExitCode
		}
		t := p.tally.Load()
		// A run that ended meanwhile has left its figures in a new tally.
		if t.addTo(to) || p.tally.Load() == t {
			return
		}
	}
}

// DaemonSample is what other tools are told of the daemon.
func (s *Supervisor) DaemonSample() (d process.DaemonSample) {
	if keeper, err := proc.Identify(s.proc, os.Getppid()); err == nil {
		d.Uptime = proc.BootTime() - keeper.Boot()
	}
	d.Events = s.store.LastEvent()
	if info, err := os.Stat(s.store.Path()); err == nil {
		d.StoreBytes = info.Size()
	}
	d.StoreWritable = s.store.Writable()
	return d
}
