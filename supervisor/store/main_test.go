package store

import (
	"fmt"
	"os"
	"testing"
)

// verifyEnv holds the path of a store: the test binary is the process that Verify may
// cost.
const verifyEnv = "PM_TEST_VERIFY_STORE"

// TestMain has the test binary play that process.
func TestMain(m *testing.M) {
	path := os.Getenv(verifyEnv)
	if path == "" {
		os.Exit(m.Run())
	}
	if err := Verify(path); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
