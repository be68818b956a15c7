package supervisor

import (
	"strings"
	"testing"
)

// A fault in ending a tree that is nobody's is its error, and it is tried again.
func TestAFaultWithAStrayIsAnError(t *testing.T) {
	var none *stray
	if err := none.end(0, nil, nil); err == nil || !strings.Contains(err.Error(), "panic: ") {
		t.Errorf("got %v", err)
	}
}
