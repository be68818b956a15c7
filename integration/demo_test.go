package integration

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The demo shows nothing that is not so: with a client that claims to have done what
// it has not, it fails and says where.
func TestTheDemoFailsWhereSomethingIsNotSo(t *testing.T) {
	// Not beside other tests: it waits for 10 s at the most, as its readers do.
	for name, c := range map[string]struct {
		lie  string // a pattern of arguments, and what is done for them
		want string
	}{
		"no stop":     {`*" stop tree-"*) exit ;;`, "somebody of tree-"},
		"no restart":  {`*" -restart on-failure") set -- "$1" "$2" "$3" "$4" "$5" "$6" "$7" "$8" "$9" ;;`, "the next attempt is announced: not so after 10 s"},
		"no deadline": {`*" -deadline 1") set -- "$1" "$2" "$3" "$4" "$5" "$6" "$7" "$8" "$9" ;;`, "the deadline ends it: not so after 10 s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			client := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in\n%s\nesac\nexec %s \"$@\"\n", c.lie, programs.client)
			if err := os.WriteFile(dir+"/pmclient", []byte(client), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(programs.daemon, dir+"/processmanager"); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "./demo.sh", dir)
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, raceOptions}
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "FAILED: "+c.want) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
