package run

import (
	"slices"
	"strings"
	"testing"
)

func TestNamesThatAreLeftOutHaveASign(t *testing.T) {
	many := strings.Fields("a b c d e f g h i j k l m n o p q r s t a b c")
	if got := someNames(slices.Clone(many)); len(got) != 16 || got[14] != "o" || got[15] != "…" {
		t.Errorf("got %q", got)
	}
	if got := someNames([]string{"sh", "漢字漢字漢\xe5", "sh"}); !slices.Equal(got, []string{"sh", "漢字漢字漢…"}) {
		t.Errorf("got %q", got)
	}
}
