package process

import (
	"strings"
	"testing"
	"time"
)

func TestProbesAreRead(t *testing.T) {
	for text, want := range map[string]string{
		"notify":                    "notify",
		"log:^Listening on [0-9]+$": `log "^Listening on [0-9]+$"`,
		"log: :x":                   `log " :x"`,
		"tcp:127.0.0.1:80":          "tcp 127.0.0.1:80",
		"tcp:[::1]:65535":           "tcp [::1]:65535",
		"tcp:localhost:1":           "tcp localhost:1",
		"unix:/run/db.sock":         "unix /run/db.sock",
		"unix:/run/a:b c":           "unix /run/a:b c",
		"http://localhost/health":   "http://localhost/health",
		"http:http://[::1]:8080":    "http://[::1]:8080",
		"http://a/b?c=d#e":          "http://a/b?c=d",
		"exec:pg_isready -q":        `exec "pg_isready -q"`,
		"exec:true\nfalse":          `exec "true\nfalse"`,
		"delay:2s":                  "delay 2s",
		"delay:0.5":                 "delay 500ms",
	} {
		if p, err := ParseProbe(text); err != nil || p.String() != want {
			t.Errorf("%q: %v, %v; want %s", text, p, err, want)
		}
	}
}

// What cannot be a probe is refused with words that say what would be.
func TestWhatIsNoProbe(t *testing.T) {
	long := strings.Repeat("a", 200_000)
	for text, want := range map[string]string{
		"":                                      "is not one of notify, log:REGEXP, tcp:HOST:PORT",
		"ready":                                 `"ready" is not one of`,
		"TCP:a:1":                               "is not one of",
		"https://localhost/":                    "is not one of",
		"notify:x":                              "takes nothing behind it",
		"log:":                                  "needs something behind it",
		"log:a(b":                               "log: \"a(b\" is not a regular expression: missing closing )",
		"log:" + long:                           "log: has 200000 bytes, at most 1024",
		"log:(a{1000}){1000}":                   "not a regular expression",
		"log:(abcdefghijklmnopqrstuvwxyz){100}": "repeats too much",
		"tcp:80":                                "is not HOST:PORT, such as 127.0.0.1:80",
		"tcp::80":                               "is not HOST:PORT",
		"tcp:a b:80":                            "is not HOST:PORT",
		"tcp:a\x1b[2J:80":                       "is not HOST:PORT",
		"tcp:::1:80":                            "is not HOST:PORT",
		"tcp:" + long + ":80":                   "is not HOST:PORT",
		"tcp:a:0":                               "is no port: 1 to 65535",
		"tcp:a:65536":                           "is no port",
		"tcp:a:http":                            "is no port",
		"tcp:a:-1":                              "is no port",
		"unix:run/a":                            "does not begin with /",
		"unix:/a\x00":                           "NUL",
		"unix:/" + strings.Repeat("a", 107):     "has 108 bytes, a socket's path at most 107",
		"http:localhost":                        "is not a URL, such as http://127.0.0.1:8080/health",
		"http://":                               "is not a URL",
		"http://:80/":                           "is not a URL",
		"http:///x":                             "is not a URL",
		"http://a b/":                           "is not a URL",
		"http://a:0/":                           "is no port",
		"http://a:99999/":                       "is no port",
		"http://u:p@a/":                         "user's name",
		"http:https://a/":                       "https is not spoken by a probe: exec:'curl -fsS",
		"http:ftp://a/":                         "is not a URL",
		"http://a/" + long:                      "is not a URL",
		"exec: ":                                "exec: the command is empty",
		"exec:" + long:                          "exec: the command has 200000 bytes",
		"exec:a\x00":                            "NUL",
		"delay:0":                               "more than that, such as delay:2s",
		"delay:-1s":                             "is not a length of time",
		"delay:soon":                            "is not a length of time",
		"delay:200000d":                         "not between 0 and 100 years",
	} {
		if p, err := ParseProbe(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, %v; want %s", text, p, err, want)
		} else if len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\x1b\x00\n") {
			t.Errorf("%.40q: the error is long, or acts on a terminal: %.500q", text, err)
		}
	}
}

// What cannot be together is refused, and the words name the parameter.
func TestProbingThatCannotBe(t *testing.T) {
	for settings, want := range map[string]string{
		"ready=log:up":                                        "ready: log: what a run has written is looked for in its log: give log:true too",
		"ready=log:up log=true":                               "",
		"ready=delay:60s":                                     "ready: delay:1m0s would never be ready: ready_timeout is 1m0s",
		"ready=delay:60s ready_timeout=61":                    "",
		"ready=tcp:a:1 ready_timeout=200000d":                 "ready_timeout: \"200000d\" is not between",
		"ready=tcp:a:1 ready_timeout=-1":                      "ready_timeout: \"-1\" is not a length of time",
		"ready_timeout=5":                                     "ready_timeout: there is no ready",
		"ready=nothing":                                       "ready: \"nothing\" is not one of",
		"health=nothing":                                      "health: \"nothing\" is not one of tcp:HOST:PORT, unix:PATH, http:URL, exec:COMMAND",
		"health=tcp:":                                         "health: tcp needs something behind it: tcp:HOST:PORT, unix:PATH, http:URL, exec:COMMAND",
		"health=log:(":                                        "health: log tells something once",
		"health=notify":                                       "health: notify says when a run is ready; that it is alive it says to watchdog",
		"health=log:up":                                       "health: log tells something once",
		"health=delay:2s":                                     "health: delay tells something once",
		"health_period=5":                                     "health_period: there is no health",
		"health_timeout=5":                                    "health_timeout: there is no health",
		"health_failures=5":                                   "health_failures: there is no health",
		"health_action=none":                                  "health_action: nothing says how a run is",
		"health_action=none watchdog=30":                      "",
		"health=tcp:a:1 health_action=stop":                   "health_action: \"stop\" is neither restart nor none",
		"health=tcp:a:1 health_period=1ms":                    "health_period: 1ms is too short: at least 100ms",
		"health=tcp:a:1 health_timeout=1ms":                   "health_timeout: 1ms is too short",
		"health=tcp:a:1 health_failures=-1":                   "health_failures: \"-1\" is not a whole number: 1 or more, at most 2147483647",
		"health=tcp:a:1 health_failures=10001":                "health_failures: 10001 are too many: at most 10000",
		"health=tcp:a:1 health_failures=99999999999999999999": "health_failures: \"99999999999999999999\" is not a whole number: 1 or more, at most 2147483647",
		"watchdog=1ms":                                        "watchdog: 1ms is too short",
		"watchdog=30s":                                        "",
		"health=exec:true health_period=0 health_failures=0":  "",
	} {
		s := Spec{Name: "a", Command: "true"}
		var all []Setting
		for _, one := range strings.Fields(settings) {
			name, value, _ := strings.Cut(one, "=")
			all = append(all, Setting{name, value})
		}
		_, err := s.With(all)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", settings, err, want)
		}
	}
}

func TestProbingByDefault(t *testing.T) {
	var p Probing
	if p.ReadyLimit() != time.Minute || p.Period() != 10*time.Second || p.Timeout() != time.Second || p.Failures() != 3 || p.Notifies() {
		t.Errorf("%+v", p)
	}
	for _, p := range []Probing{{Ready: "notify"}, {Watchdog: time.Second}} {
		if !p.Notifies() {
			t.Errorf("%+v has no socket", p)
		}
	}
}
