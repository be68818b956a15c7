package lifecycle

import (
	"encoding/json"
	"fmt"
)

// Then is what follows the end of a run. It is stored with the run, as text.
type Then uint8

// What can follow.
const (
	ThenRest   Then = iota // its result decides; with a schedule: scheduled again
	ThenStop               // the process is stopped
	ThenStart              // the next run: a restart, or a start that came meanwhile
	ThenRemove             // the process is forgotten
)

var thenTexts = [...]string{ThenRest: "", ThenStop: "stop", ThenStart: "start", ThenRemove: "remove"}

func (t Then) String() string { return thenTexts[t] }

func (t Then) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalJSON reads the text, and the number that the first version wrote.
func (t *Then) UnmarshalJSON(data []byte) error {
	var number uint8
	if json.Unmarshal(data, &number) == nil && int(number) < len(thenTexts) {
		*t = Then(number)
		return nil
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	for i, known := range thenTexts {
		if text == known {
			*t = Then(i)
			return nil
		}
	}
	return fmt.Errorf("what follows the end of a run: %q is not known", text)
}
