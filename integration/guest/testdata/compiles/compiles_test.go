package compiles

import "testing"

func TestNothing(t *testing.T) {}
