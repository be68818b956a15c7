package heroscript_test

import (
	"fmt"
	"strings"

	"github.com/freeflowuniverse/processmanager/heroscript"
)

func ExampleParse() {
	script, err := heroscript.Parse("!!process.start name:web log\n" +
		"    command:'cd /srv\n" +
		"./serve'\n")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, action := range script {
		fmt.Println(action.Verb())
		for _, p := range action.Params {
			fmt.Printf("%v: %s = %q\n", p.Pos, p.Key, p.Value)
		}
	}
	// Output:
	// process.start
	// line 1, column 17: name = "web"
	// line 1, column 26: log = "true"
	// line 2, column 5: command = "cd /srv\n./serve"
}

func ExampleParse_error() {
	_, err := heroscript.Parse("!!process.start name:web\n  command:'sleep 1\n")
	fmt.Println(err)
	// Output:
	// line 2, column 11: quote opened here is never closed
}

func ExampleFormat() {
	fmt.Print(heroscript.Format(heroscript.Script{{
		Actor: "process",
		Name:  "start",
		Params: []heroscript.Param{
			{Key: "name", Value: "web"},
			{Key: "command", Value: "echo 'hello world'"},
			{Key: "log", Value: "true", Flag: true},
		},
	}}))
	// Output:
	// !!process.start name:web command:'echo \'hello world\'' log
}

// An empty line inside a quote ends no action.
func ExampleStream() {
	lines := "!!process.start name:web command:'cd /srv\n\n./serve'\n\n"
	var stream heroscript.Stream
	for line := range strings.Lines(lines) {
		stream.Write([]byte(line))
		fmt.Printf("%q %v\n", line, stream.InQuote())
	}
	// Output:
	// "!!process.start name:web command:'cd /srv\n" true
	// "\n" true
	// "./serve'\n" false
	// "\n" false
}
