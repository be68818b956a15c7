package run

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// accounts is the directory that has the files passwd and group. They are read without
// the C library: users that only a directory service knows go by their number.
type accounts string

// account is a user.
type account struct {
	name        string // empty: a number that no user has
	uid, gid    uint32
	home, shell string
}

var errNoEntry = errors.New("no such entry")

// user finds a user by name or number. A number that nobody has is a user without a name
// and a group.
func (etc accounts) user(who string) (a account, err error) {
	uid, isNumber := accountNumber(who)
	err = etc.find("passwd", func(f []string) bool {
		if len(f) != 7 || !(isNumber && f[2] == who || !isNumber && f[0] == who) {
			return false
		}
		var okUser, okGroup bool
		a = account{name: f[0], home: f[5], shell: f[6]}
		a.uid, okUser = accountNumber(f[2])
		a.gid, okGroup = accountNumber(f[3])
		return okUser && okGroup
	})
	switch {
	case err == errNoEntry && isNumber:
		return account{uid: uid}, nil
	case err == errNoEntry:
		return a, fmt.Errorf("no such user '%s' in %s/passwd", who, string(etc))
	}
	return a, err
}

// group finds the number of a group by its name or number.
func (etc accounts) group(which string) (gid uint32, err error) {
	if gid, isNumber := accountNumber(which); isNumber {
		return gid, nil
	}
	err = etc.find("group", func(f []string) bool {
		ok := len(f) == 4 && f[0] == which
		if ok {
			gid, ok = accountNumber(f[2])
		}
		return ok
	})
	if err == errNoEntry {
		err = fmt.Errorf("no such group '%s' in %s/group", which, string(etc))
	}
	return gid, err
}

// groupsOf are the groups of a user: gid first, then those that name the user as a member.
func (etc accounts) groupsOf(user string, gid uint32) ([]uint32, error) {
	groups := []uint32{gid}
	if user == "" {
		return groups, nil
	}
	err := etc.find("group", func(f []string) bool {
		if len(f) != 4 {
			return false
		}
		for member := range strings.SplitSeq(f[3], ",") {
			if n, ok := accountNumber(f[2]); ok && member == user && n != gid {
				groups = append(groups, n)
				break
			}
		}
		return false
	})
	if err == errNoEntry {
		err = nil
	}
	return groups, err
}

// find reads a file of entries, a line each, until is says that it was the one.
func (etc accounts) find(name string, is func(fields []string) bool) error {
	f, err := os.Open(string(etc) + "/" + name)
	if err != nil {
		return err
	}
	defer f.Close()
	return findEntry(f, is)
}

// findEntry is find for what has been opened: fields with colons in between.
func findEntry(r io.Reader, is func(fields []string) bool) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if is(strings.Split(string(bytes.TrimSuffix(line, []byte("\n"))), ":")) {
			return nil
		}
		if err == io.EOF {
			return errNoEntry
		}
		if err != nil {
			return err
		}
	}
}

// accountNumber reads the number of a user or a group. The highest one stands for none.
func accountNumber(text string) (n uint32, ok bool) {
	all, err := strconv.ParseUint(text, 10, 32)
	return uint32(all), err == nil && all < 1<<32-1
}
