package schedule

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// CheckLocal reports why this process takes UTC for its local time although something
// else is asked for, by TZ or by /etc/localtime: the zone's data is not there or cannot
// be read, or TZ is a rule such as CET-1CEST, which Go does not read. The time package
// says nothing.
func CheckLocal() error {
	tz, set := os.LookupEnv("TZ")
	return checkLocal(tz, set, time.Local.String(), "/etc/localtime")
}

// checkLocal is given the name of the local zone: UTC where the time package has found
// none, or was asked for it.
func checkLocal(tz string, set bool, zone, file string) error {
	if zone != "UTC" {
		return nil
	}
	if set {
		if name := strings.TrimPrefix(tz, ":"); name != "" && name != "UTC" {
			return fmt.Errorf("TZ is %s, which is not a time zone that this host knows: schedules and times are in UTC", process.Printable(tz))
		}
		return nil
	}
	if _, err := os.Lstat(file); err == nil {
		return fmt.Errorf("the time zone in %s cannot be read: schedules and times are in UTC", file)
	}
	return nil
}
