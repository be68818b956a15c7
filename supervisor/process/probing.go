package process

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// What a spec says about probes by default.
const (
	DefaultReadyTimeout   = 60 * time.Second
	DefaultHealthPeriod   = 10 * time.Second
	DefaultHealthTimeout  = time.Second
	DefaultHealthFailures = 3
)

// Limits on probes.
const (
	MinHealthPeriod   = 100 * time.Millisecond
	MinHealthTimeout  = 10 * time.Millisecond
	MinWatchdog       = 100 * time.Millisecond
	MaxHealthFailures = 10_000
)

// What follows when a run is unhealthy.
const (
	HealthRestart = "restart" // it ends, with the cause unhealthy; the policy of restarts says what follows
	HealthNone    = "none"    // that is shown
)

// Probing says when a run counts as ready, and as well.
type Probing struct {
	Ready          string        // as ParseProbe reads it; empty: when its leader is there
	ReadyTimeout   time.Duration // it fails when it is not ready so long after its start; 0: DefaultReadyTimeout
	Health         string        // as ParseProbe reads it; empty: nobody looks
	HealthPeriod   time.Duration // between two looks; 0: DefaultHealthPeriod
	HealthTimeout  time.Duration // of one look; 0: DefaultHealthTimeout
	HealthFailures int           // one behind the other: then it is unhealthy; 0: DefaultHealthFailures
	HealthAction   string        // HealthRestart or HealthNone; empty: HealthRestart
	Watchdog       time.Duration // it says that it is alive, by sd_notify, at least this often; 0: it need not
}

// Notifies reports whether a run has a socket to say by sd_notify how it is.
func (p Probing) Notifies() bool { return p.Ready == string(ProbeNotify) || p.Watchdog > 0 }

// ReadyLimit is how long after its start a run must be ready.
func (p Probing) ReadyLimit() time.Duration { return cmp.Or(p.ReadyTimeout, DefaultReadyTimeout) }

// Period is the time between two looks at how a run is.
func (p Probing) Period() time.Duration { return cmp.Or(p.HealthPeriod, DefaultHealthPeriod) }

// Timeout is how long one look may take.
func (p Probing) Timeout() time.Duration { return cmp.Or(p.HealthTimeout, DefaultHealthTimeout) }

// Failures is after how many looks that failed, one behind the other, a run is unhealthy.
func (p Probing) Failures() int { return cmp.Or(p.HealthFailures, DefaultHealthFailures) }

// cleanReady is the probe of a run's readiness as it is kept.
func cleanReady(text string) (string, error) {
	p, err := ParseProbe(text)
	if err == nil && p.Kind == ProbeHTTP {
		text = p.Target
	}
	return text, err
}

// cleanHealth is the probe of a run's health as it is kept.
func cleanHealth(text string) (string, error) {
	kind, _, _ := strings.Cut(text, ":")
	switch ProbeKind(kind) {
	case ProbeNotify:
		return text, fmt.Errorf("notify says when a run is ready; that it is alive it says to watchdog: give watchdog:30s")
	case ProbeLog, ProbeDelay:
		return text, fmt.Errorf("%s tells something once, and how a run is must be asked again and again: %s", kind, healthForms)
	}
	p, err := parseProbe(text, healthForms)
	if err == nil && p.Kind == ProbeHTTP {
		text = p.Target
	}
	return text, err
}

// validateProbing reports what in s cannot be together.
func (s *Spec) validateProbing() error {
	if err := s.without("ready", "ready_timeout"); err != nil {
		return err
	}
	if err := s.without("health", "health_period", "health_timeout", "health_failures"); err != nil {
		return err
	}
	if s.Health == "" && s.Watchdog == 0 && s.HealthAction != "" {
		return Errorf(CodeInvalid, "health_action: nothing says how a run is: give health or watchdog too, or health_action:'' to be without it")
	}
	if s.Ready == "" {
		return nil
	}
	p, _ := ParseProbe(s.Ready)
	switch {
	case p.Kind == ProbeLog && !s.Log:
		return Errorf(CodeInvalid, "ready: log: what a run has written is looked for in its log: give log:true too")
	case p.Kind == ProbeDelay && p.Delay >= s.ReadyLimit():
		return Errorf(CodeInvalid, "ready: delay:%v would never be ready: ready_timeout is %v", p.Delay, s.ReadyLimit())
	}
	return nil
}
