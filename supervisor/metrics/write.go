package metrics

import (
	"bufio"
	"strconv"
	"strings"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// prefix begins the name of each metric of a process.
const prefix = "processmanager_process_"

// isCounter reports whether the value only grows.
func (f *family) isCounter() bool { return strings.HasSuffix(f.name, "_total") }

// write writes the metric of all processes, if there is any: what describes it, then a line
// for each series. OpenMetrics wants a counter to be described without _total.
func (f *family) write(w *bufio.Writer, samples []process.Sample, openMetrics bool) error {
	described := prefix + f.name
	kind := "gauge"
	if f.isCounter() {
		if kind = "counter"; openMetrics {
			described = strings.TrimSuffix(described, "_total")
		}
	}
	begin := prefix + f.name + `{name="`
	ends := []string{`"} `}
	if f.series != nil {
		ends = ends[:0]
		for _, labels := range f.series {
			ends = append(ends, `",`+labels+`} `)
		}
	}
	head := false
	for p := range samples {
		s := &samples[p]
		for i, end := range ends {
			n, known := f.value(s, i)
			if !known {
				continue
			}
			line := w.AvailableBuffer()
			if !head {
				head = true
				line = append(line, "# HELP "+described+" "+f.help+"\n# TYPE "+described+" "+kind+"\n"...)
			}
			line = append(line, begin...)
			line = append(line, s.Name...) // a name holds nothing that is to be escaped
			line = append(line, end...)
			if f.micro {
				line = appendMicro(line, n)
			} else {
				line = strconv.AppendInt(line, n, 10)
			}
			if _, err := w.Write(append(line, '\n')); err != nil {
				return err
			}
		}
	}
	return nil
}

// appendMicro writes a number of millionths as a decimal fraction.
func appendMicro(to []byte, n int64) []byte {
	if n < 0 {
		to, n = append(to, '-'), -n
	}
	to = strconv.AppendInt(to, n/1e6, 10)
	rest := n % 1e6
	if rest == 0 {
		return to
	}
	to = append(to, '.')
	for unit := int64(1e5); rest > 0; unit /= 10 {
		to = append(to, '0'+byte(rest/unit))
		rest %= unit
	}
	return to
}
