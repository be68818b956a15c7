package main

import (
	"log"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/keeper"
	"github.com/freeflowuniverse/processmanager/supervisor/systemd"
)

// hostLink is how the keeper speaks to the service manager that has started it. The worker
// cannot: systemd takes messages from the unit's group alone.
type hostLink struct {
	Notify   string        // $NOTIFY_SOCKET
	Watchdog time.Duration // how often it wants to hear from us; zero: never
}

const (
	// askEvery is how often the worker is asked how it is.
	askEvery = 10 * time.Second

	// stopExtension is what a shutdown that goes on asks for each time. What ends a tree
	// has its own bounds.
	stopExtension = 4 * askEvery
)

// interval is how often the worker is asked: three times before systemd loses patience.
func (h hostLink) interval() time.Duration {
	switch {
	case h.Notify == "":
		return 0
	case h.Watchdog > 0:
		return min(askEvery, h.Watchdog/3)
	}
	return askEvery
}

// keeperHost tells the service manager what the keeper says.
func (p *place) keeperHost(logger *log.Logger) keeper.Host {
	notifier := systemd.Notifier{Path: p.host.Notify}
	var told string // the error that was said last
	send := func(messages ...string) {
		text := ""
		if err := notifier.Send(messages...); err != nil {
			text = err.Error()
		}
		if text != "" && text != told {
			warning(logger).Printf("the service manager does not hear us: %s", text)
		}
		told = text
	}
	stopping, status := false, ""
	h := keeper.Host{
		Ask: p.host.interval(),
		Told: func(phase keeper.Phase) {
			switch phase {
			case keeper.PhaseReady:
				send(systemd.Ready)
			case keeper.PhaseReloading:
				send(systemd.Reloading())
			case keeper.PhaseStopping:
				stopping = true
				send(systemd.Stopping, systemd.ExtendTimeout(stopExtension))
			}
		},
		Answered: func(text string) {
			var messages []string
			if p.host.Watchdog > 0 {
				messages = append(messages, systemd.Alive)
			}
			if stopping {
				messages = append(messages, systemd.ExtendTimeout(stopExtension))
			}
			if text != status {
				status = text
				messages = append(messages, systemd.Status(text))
			}
			if len(messages) > 0 {
				send(messages...)
			}
		},
	}
	if unit := p.groups.unit; unit != "" {
		h.Stays = func() bool { return staysFor(p.groups.host, unit) }
	}
	return h
}
