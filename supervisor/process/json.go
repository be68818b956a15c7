package process

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// MarshalJSON writes the fields by their names in the table, in its order: times as
// seconds, sizes as bytes, the others as text. The default is left out, but where
// clients always find the field. It holds all there is, for whoever keeps it; a [Status]
// is for showing.
func (s Spec) MarshalJSON() ([]byte, error) { return s.append(nil, (*Field).json), nil }

// marshal writes each field as value has it.
func (s *Spec) append(b []byte, value func(*Field, *Spec) []byte) []byte {
	b = append(append(b, `{"name":`...), quoted(s.Name)...)
	for i := range Fields {
		if f := &Fields[i]; f.Always || f.text(s) != "" {
			b = append(append(append(append(b, ','), quoted(f.JSON)...), ':'), value(f, s)...)
		}
	}
	return append(b, '}')
}

// shownJSON is the field of s as a value that may be shown to anybody: of variables, an
// array of the names.
func (f *Field) shownJSON(s *Spec) []byte {
	if !f.hidden {
		return f.json(s)
	}
	b := []byte{'['}
	for i, name := range variables(f.text(s)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, quoted(name)...)
	}
	return append(b, ']')
}

// UnmarshalJSON reads what MarshalJSON writes. Other names are ignored.
func (s *Spec) UnmarshalJSON(data []byte) error {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(data, &given); err != nil {
		return err
	}
	if name := given["name"]; name != nil {
		if err := json.Unmarshal(name, &s.Name); err != nil {
			return err
		}
	}
	for i := range Fields {
		f := &Fields[i]
		if raw := given[f.JSON]; raw != nil {
			if err := f.setJSON(s, raw); err != nil {
				return fmt.Errorf("%s: %w", f.JSON, err)
			}
		}
	}
	return nil
}

// json is the field of s as a value.
func (f *Field) json(s *Spec) []byte {
	text := f.text(s)
	switch v := f.in(s).(type) {
	case *bool:
		if f.Choices == nil {
			return strconv.AppendBool(nil, text == "true")
		}
	case *time.Duration, **time.Duration, *int64, **int64, *int:
		return []byte(text)
	case *CPUQuota:
		return []byte(v.percent())
	}
	return quoted(text)
}

// setJSON reads what json writes. It takes a value that would not be taken any more:
// whoever needs it to be valid asks Validate.
func (f *Field) setJSON(s *Spec, raw json.RawMessage) error {
	text := string(raw)
	switch raw[0] {
	case '"':
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
	case '[':
		var lines []string
		if err := json.Unmarshal(raw, &lines); err != nil {
			return err
		}
		text = strings.Join(lines, "\n")
	}
	if _, ok := f.in(s).(*CPUQuota); ok && raw[0] != '"' { // a number of percents
		text += "%"
	}
	lenient := *f
	lenient.check, lenient.clean, lenient.noZero = nil, nil, false
	return lenient.Set(s, text)
}

// quoted is text as JSON, without the escapes that are for HTML.
func quoted(text string) []byte {
	if isPlain(text) { // most are, and there are thousands in a list of many processes
		return append(append(append(make([]byte, 0, len(text)+2), '"'), text...), '"')
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(text)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// isPlain reports whether text stands in JSON as it is.
func isPlain(text string) bool {
	for i := range len(text) {
		if b := text[i]; b < ' ' || b > '~' || b == '"' || b == '\\' {
			return false
		}
	}
	return true
}
