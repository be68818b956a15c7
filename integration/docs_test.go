package integration

import (
	"os"
	"strings"
	"testing"
)

// The example of the documentation is the one that is tested with a real engine.
func TestTheImageOfTheDocumentationIsTested(t *testing.T) {
	docs, err := os.ReadFile("../docs/containers.md")
	if err != nil {
		t.Skip("no documentation here: ", err)
	}
	for _, name := range []string{"Containerfile", "web.hero"} {
		tested, err := os.ReadFile("container/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(docs), "\n"+string(tested)+"```\n") {
			t.Errorf("docs/containers.md does not have %s as it is tested", name)
		}
	}
}
