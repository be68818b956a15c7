package supervisor

import (
	"fmt"
	"os"
	"testing"
)

// verifyEnv holds a state directory: the test binary is the process that VerifyStore
// may cost.
const verifyEnv = "PM_TEST_VERIFY_STORE"

// TestMain has the test binary play the other processes of a test.
func TestMain(m *testing.M) {
	var err error
	switch dir, plan := os.Getenv(verifyEnv), os.Getenv(startKeeperEnv); {
	case len(os.Args) == 2 && os.Args[1] == startWorkerArg:
		err = playStartWorker()
	case plan != "":
		err = playStartKeeper(plan)
	case dir != "":
		err = VerifyStore(dir)
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
