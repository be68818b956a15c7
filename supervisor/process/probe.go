package process

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// ProbeKind is how it is found out whether a run is ready, or well.
type ProbeKind string

// The kinds.
const (
	ProbeNotify ProbeKind = "notify" // the run says so itself, by sd_notify
	ProbeLog    ProbeKind = "log"    // it has written a line that matches
	ProbeTCP    ProbeKind = "tcp"    // somebody accepts connections there
	ProbeUnix   ProbeKind = "unix"   // the same, at a socket in the file system
	ProbeHTTP   ProbeKind = "http"   // a GET is answered with a status of 200 to 399
	ProbeExec   ProbeKind = "exec"   // a command exits 0
	ProbeDelay  ProbeKind = "delay"  // some time has passed since its start
)

// Probe is one way to find out.
type Probe struct {
	Kind    ProbeKind
	Target  string         // of tcp, unix, http and exec: HOST:PORT, a path, a URL, a command
	Pattern *regexp.Regexp // of log
	Delay   time.Duration  // of delay
}

// String is the probe in a few words, for messages.
func (p Probe) String() string {
	switch p.Kind {
	case ProbeLog:
		return "log " + Printable(p.Pattern.String())
	case ProbeDelay:
		return "delay " + p.Delay.String()
	case ProbeExec:
		return "exec " + Printable(p.Target)
	case ProbeHTTP:
		return p.Target
	case ProbeNotify:
		return "notify"
	}
	return string(p.Kind) + " " + p.Target
}

// What a probe may be, for messages: that of readiness, and that of health.
const (
	readyForms  = "notify, log:REGEXP, tcp:HOST:PORT, unix:PATH, http:URL, exec:COMMAND, delay:TIME"
	healthForms = "tcp:HOST:PORT, unix:PATH, http:URL, exec:COMMAND"
)

// maxSocketPath is how long the path of a Unix socket may be: sun_path with its NUL has 108.
const maxSocketPath = 107

// ParseProbe reads a probe.
func ParseProbe(text string) (Probe, error) { return parseProbe(text, readyForms) }

// parseProbe is ParseProbe where forms are what may be given.
func parseProbe(text, forms string) (Probe, error) {
	kind, rest, colon := strings.Cut(text, ":")
	p := Probe{Kind: ProbeKind(kind), Target: rest}
	switch p.Kind {
	case ProbeNotify:
		if colon {
			return p, fmt.Errorf("notify takes nothing behind it, %s was given", Printable(rest))
		}
		return p, nil
	case ProbeLog, ProbeTCP, ProbeUnix, ProbeHTTP, ProbeExec, ProbeDelay:
		if rest == "" {
			return p, fmt.Errorf("%s needs something behind it: %s", kind, forms)
		}
	default:
		return p, fmt.Errorf("%s is not one of %s", Printable(text), forms)
	}
	var err error
	switch p.Kind {
	case ProbeLog:
		p.Target = ""
		if p.Pattern, err = CompileGrep(rest); err != nil {
			err = fmt.Errorf("log: %s", strings.TrimPrefix(err.Error(), "grep: "))
		}
	case ProbeTCP:
		err = validateAddress(rest)
	case ProbeUnix:
		err = validateSocket(rest)
	case ProbeHTTP:
		p.Target, err = cleanURL(rest)
	case ProbeExec:
		if err = ValidateCommand(rest); err != nil {
			err = fmt.Errorf("exec: the %s", strings.Replace(err.Error(), ":", "", 1))
		}
	case ProbeDelay:
		p.Target = ""
		if p.Delay, err = ParseDuration(rest); err == nil && p.Delay == 0 {
			err = fmt.Errorf("delay: 0 is no time: more than that, such as delay:2s")
		}
	}
	if err != nil {
		return Probe{}, err
	}
	return p, nil
}

func validateAddress(text string) error {
	host, port, err := net.SplitHostPort(text)
	switch n, wrong := strconv.ParseUint(port, 10, 16); {
	case err != nil || host == "" || len(host) > 255 || strings.ContainsFunc(host, unfitForHost):
		return fmt.Errorf("tcp: %s is not HOST:PORT, such as 127.0.0.1:80 or [::1]:80", Printable(text))
	case wrong != nil || n == 0:
		return fmt.Errorf("tcp: %s is no port: 1 to 65535", Printable(port))
	}
	return nil
}

func unfitForHost(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("/?#@\\", r) }

func validateSocket(path string) error {
	switch {
	case !strings.HasPrefix(path, "/"):
		return fmt.Errorf("unix: %s does not begin with /", Printable(path))
	case len(path) > maxSocketPath:
		return fmt.Errorf("unix: %s has %d bytes, a socket's path at most %d", Printable(path), len(path), maxSocketPath)
	case strings.IndexByte(path, 0) >= 0:
		return fmt.Errorf("unix: %s holds a NUL byte", Printable(path))
	}
	return nil
}

// cleanURL is the whole URL of what stands behind http:, which may be a URL of its own.
func cleanURL(text string) (string, error) {
	whole := text
	if strings.HasPrefix(text, "//") {
		whole = "http:" + text
	}
	u, err := url.Parse(whole)
	port := ""
	if err == nil {
		port = u.Port()
	}
	n, wrong := strconv.ParseUint(port, 10, 16)
	switch {
	case err == nil && u.Scheme == "https":
		return "", fmt.Errorf("http: https is not spoken by a probe: exec:'curl -fsS %s' asks for it", Printable(whole))
	case err != nil || u.Scheme != "http" || u.Hostname() == "" || u.Opaque != "" || len(whole) > 2048 || strings.ContainsFunc(u.Host, unfitForHost):
		return "", fmt.Errorf("http: %s is not a URL, such as http://127.0.0.1:8080/health", Printable(text))
	case u.User != nil:
		return "", fmt.Errorf("http: a URL with a user's name would show that to everybody: use exec:'curl …'")
	case port != "" && (wrong != nil || n == 0):
		return "", fmt.Errorf("http: %s is no port: 1 to 65535", Printable(port))
	}
	u.Fragment, u.RawFragment = "", ""
	return u.String(), nil
}
