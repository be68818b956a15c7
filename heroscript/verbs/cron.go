package verbs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

var descriptors = []string{"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"}

// checkCron reports what cannot be a schedule by its form, so that a script which has
// it is not begun. The daemon knows the rest: which values there are, and which days.
func checkCron(expr string) error {
	if strings.TrimSpace(expr) == "" {
		return errors.New("is empty: leave it out, or give a schedule")
	}
	spec := expr
	if strings.HasPrefix(expr, "TZ=") || strings.HasPrefix(expr, "CRON_TZ=") {
		_, spec, _ = strings.Cut(expr, " ")
		spec = strings.TrimSpace(spec)
	}
	if every, ok := strings.CutPrefix(spec, "@every "); ok {
		if _, err := time.ParseDuration(every); err != nil {
			return fmt.Errorf("%s: %s is not a length of time: 10s, 5m or 1h30m", process.Printable(expr), process.Printable(every))
		}
		return nil
	}
	if strings.HasPrefix(spec, "@") {
		if !slices.Contains(descriptors, spec) {
			return fmt.Errorf("%s is not a schedule: @every and a length of time, or one of %s", process.Printable(expr), strings.Join(descriptors, ", "))
		}
		return nil
	}
	fields := strings.Fields(spec)
	if len(fields) != 5 {
		return fmt.Errorf("%s is not a schedule: five fields (minute, hour, day of month, month, day of week) such as '0 3 * * *', @every 10s, or @daily", process.Printable(expr))
	}
	for _, field := range fields {
		if strings.ContainsFunc(field, notOfCron) {
			return fmt.Errorf("%s: %s is not a field: numbers or names, with * ? , - /", process.Printable(expr), process.Printable(field))
		}
	}
	return nil
}

func notOfCron(r rune) bool {
	return !unicode.IsLetter(r) && (r < '0' || r > '9') && !strings.ContainsRune("*?,-/+", r)
}
