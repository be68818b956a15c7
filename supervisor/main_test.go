package supervisor

import (
	"fmt"
	"os"
	"testing"
)

// verifyEnv holds a state directory: the test binary is the process that VerifyStore
// may cost.
const verifyEnv = "PM_TEST_VERIFY_STORE"

// TestMain has the test binary play that process.
func TestMain(m *testing.M) {
	dir := os.Getenv(verifyEnv)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := VerifyStore(dir); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
