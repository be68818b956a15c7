package lineedit

import (
	"slices"
	"strings"
)

// A history keeps what is worth keeping.
type history struct {
	editor  *editor
	entries []string
	size    int // bytes of them
}

const (
	maxHistory     = 500
	maxHistorySize = 64 << 10
)

func (h *history) Add(line string) {
	if h.editor.interrupted || strings.TrimSpace(line) == "" {
		return
	}
	if n := len(h.entries); n > 0 && h.entries[n-1] == line {
		return
	}
	h.entries = append(h.entries, line)
	h.size += len(line)
	for len(h.entries) > maxHistory || h.size > maxHistorySize {
		h.size -= len(h.entries[0])
		h.entries = slices.Delete(h.entries, 0, 1)
	}
}

func (h *history) Len() int { return len(h.entries) }

// At returns the entry added i entries before the last.
func (h *history) At(i int) string { return h.entries[len(h.entries)-1-i] }
