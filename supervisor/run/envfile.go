package run

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// maxEnvFile is how much of a file of variables is read: more than a program can be given
// is of no use.
const maxEnvFile = 1 << 20

// envFileTime is how long a file of variables may take: a file system may hang.
const envFileTime = 10 * time.Second

// within gives up on what takes longer, with ETIMEDOUT. Nothing can end a read that hangs:
// its goroutine ends with it.
func within(limit time.Duration, read func() ([]string, error)) ([]string, error) {
	type result struct {
		all []string
		err error
	}
	done := make(chan result, 1)
	go func() {
		all, err := read()
		done <- result{all, err}
	}()
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case r := <-done:
		return r.all, r.err
	case <-late.C:
		return nil, unix.ETIMEDOUT
	}
}

// readEnvFile gives the variables of a file. What a device or a FIFO holds may have no
// end, and may make the daemon wait.
func readEnvFile(path string) ([]string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, unix.EISDIR
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("it is no regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxEnvFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxEnvFile:
		return nil, fmt.Errorf("it has more than %d KiB", maxEnvFile>>10)
	}
	return parseEnvFile(data)
}

// The syntax is that of EnvironmentFile= in systemd. A line that begins with # or ; is a
// comment, and one without = says nothing. A value stands in single quotes, in which
// nothing is special, in double quotes, in which a backslash escapes " \ ` and $, or in
// none, where it escapes any character; quoted parts may follow one another. A backslash at
// the end of a line joins the next one to it, in a comment too. Quotes may span lines.
const (
	envComments = "#;"
	envBlanks   = " \t\n\r"
	envLineEnds = "\n\r"
	envEscaped  = "\"\\`$"
)

// envState is where the parser stands.
type envState int

const (
	beforeName envState = iota
	inName
	beforeValue // or between two parts of it
	inValue
	inValueEscape
	inSingle
	inDouble
	inDoubleEscape
	inComment
	inCommentEscape
)

// parseEnvFile gives the variables as "NAME=VALUE", each once: the last counts. Errors say
// the line, and nothing of what stands there.
func parseEnvFile(data []byte) ([]string, error) {
	var all []string
	var name, value []byte
	kept := 0 // bytes of value that are no blanks at its end
	state, line, began := beforeName, 1, 0
	end := func() error {
		key := strings.TrimRight(string(name), envBlanks)
		if state == inValue {
			value = value[:kept]
		}
		switch {
		case !process.IsVariable(key):
			return fmt.Errorf("line %d: no name of a variable stands before the '=': letters, digits and _, the first no digit", began)
		case bytes.IndexByte(value, 0) >= 0:
			return fmt.Errorf("line %d: the value holds a NUL byte", began)
		}
		all = append(all, key+"="+string(value))
		name, value, kept, state = name[:0], value[:0], 0, beforeName
		return nil
	}
	for _, c := range data {
		ends, blank := strings.IndexByte(envLineEnds, c) >= 0, strings.IndexByte(envBlanks, c) >= 0
		switch state {
		case beforeName:
			switch {
			case strings.IndexByte(envComments, c) >= 0:
				state = inComment
			case !blank:
				state, began, name = inName, line, append(name[:0], c)
				if c == '=' {
					name, state = name[:0], beforeValue
				}
			}
		case inName:
			switch {
			case ends:
				state = beforeName
			case c == '=':
				state = beforeValue
			default:
				name = append(name, c)
			}
		case beforeValue:
			switch {
			case ends:
				if err := end(); err != nil {
					return nil, err
				}
			case c == '\'':
				state = inSingle
			case c == '"':
				state = inDouble
			case c == '\\':
				state = inValueEscape
			case !blank:
				state, value = inValue, append(value, c)
				kept = len(value)
			}
		case inValue:
			switch {
			case ends:
				if err := end(); err != nil {
					return nil, err
				}
			case c == '\\':
				state, kept = inValueEscape, len(value)
			default:
				if value = append(value, c); !blank {
					kept = len(value)
				}
			}
		case inValueEscape:
			if state = inValue; !ends {
				value = append(value, c)
			}
			kept = len(value)
		case inSingle:
			if c == '\'' {
				state = beforeValue
			} else {
				value = append(value, c)
			}
		case inDouble:
			switch c {
			case '"':
				state = beforeValue
			case '\\':
				state = inDoubleEscape
			default:
				value = append(value, c)
			}
		case inDoubleEscape:
			state = inDouble
			switch {
			case strings.IndexByte(envEscaped, c) >= 0:
				value = append(value, c)
			case c != '\n':
				value = append(value, '\\', c)
			}
		case inComment:
			switch {
			case c == '\\':
				state = inCommentEscape
			case ends:
				state = beforeName
			}
		case inCommentEscape:
			if state = inComment; ends {
				state = beforeName
			}
		}
		if c == '\n' {
			line++
		}
	}
	switch state {
	case inSingle, inDouble, inDoubleEscape:
		return nil, fmt.Errorf("line %d: a quote of its value is never closed", began)
	case beforeValue, inValue, inValueEscape:
		if err := end(); err != nil {
			return nil, err
		}
	}
	return mergeEnv(all), nil
}
