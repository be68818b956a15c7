package cgroup

import "bytes"

// MemoryEvents reads memory.events: what happened in the group and all nested ones, by the
// limits of these. Beside these are processes of theirs that were ended (OOMKill), whosever
// limit it was.
//
// Errors: errors.ErrUnsupported without a memory controller.
func (g Group) MemoryEvents() (MemoryEvents, error) { return g.memoryEvents("memory.events") }

// OwnMemoryEvents reads memory.events.local, which leaves out the nested groups: what happened
// by the group's own limits.
//
// Errors: as of MemoryEvents.
func (g Group) OwnMemoryEvents() (MemoryEvents, error) { return g.memoryEvents("memory.events.local") }

func (g Group) memoryEvents(file string) (MemoryEvents, error) {
	var buf [512]byte
	data, err := g.read(file, buf[:])
	if err != nil {
		return MemoryEvents{}, err
	}
	var u Usage
	u.parseMemoryEvents(data)
	return u.MemoryEvents, nil
}

// MemoryMax reads the limit on memory in bytes; ok is false if there is none: memory.max.
//
// Errors: errors.ErrUnsupported without a memory controller.
func (g Group) MemoryMax() (limit uint64, ok bool, err error) {
	var buf [32]byte
	data, err := g.read("memory.max", buf[:])
	if err != nil {
		return 0, false, err
	}
	limit, ok = parseUint(bytes.TrimSuffix(data, []byte{'\n'})) // "max" is no number
	return limit, ok, nil
}

// Full is the group as the host's kernel calls it in its log: from the root of the hierarchy.
// In a cgroup namespace that is not the host's (see View) it cannot be known.
func (g Group) Full() string {
	rest, _ := below(g.h.Mount, g.path)
	if rest == "/" {
		return g.h.root
	}
	if g.h.root == "/" {
		return rest
	}
	return g.h.root + rest
}

// View is how this process sees the hierarchy of the group.
func (g Group) View() (View, error) { return g.h.View() }

// Contained reports whether there are groups above those that can be seen: see
// [Hierarchy.Contained].
func (g Group) Contained() bool { return g.h.Contained() }
