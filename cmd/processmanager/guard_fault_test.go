package main

import (
	"strings"
	"testing"
)

// A fault in one file's mending is its error: the keeper goes on with the others.
func TestAFaultInMendingIsAnError(t *testing.T) {
	m := &mender{mend: func() (bool, error) { panic("mending") }}
	if mended, err := m.tryMend(); mended || err == nil || !strings.Contains(err.Error(), "panic: mending, at ") {
		t.Errorf("got %v, %v", mended, err)
	}
}
