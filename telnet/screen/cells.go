package screen

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The windows that layouts are made for. In a narrower one the terminal breaks lines.
const (
	MinColumns = 20
	MaxColumns = 1000
)

// Columns is the number of columns to lay text out for, in a window that says it has n.
// 0 means any number: the window is unknown.
func Columns(n int) int {
	if n <= 0 {
		return 0
	}
	return min(max(n, MinColumns), MaxColumns)
}

// Cells is how many cells text takes.
func Cells(text string) (n int) {
	for _, r := range text {
		n += cell(r)
	}
	return n
}

// cell is how many cells a character takes.
func cell(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf), 0x1160 <= r && r <= 0x11ff: // vowels of Hangul stand on the consonant
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}

// wide is what takes two cells: East Asian Width W and F of Unicode, with neighbours.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x1100, 0x115f, 1}, {0x231a, 0x231b, 1}, {0x2329, 0x232a, 1}, {0x23e9, 0x23ec, 1}, {0x23f0, 0x23f3, 3},
		{0x25fd, 0x25fe, 1}, {0x2614, 0x2615, 1}, {0x2648, 0x2653, 1}, {0x267f, 0x2693, 20}, {0x26a1, 0x26a1, 1},
		{0x26aa, 0x26ab, 1}, {0x26bd, 0x26be, 1}, {0x26c4, 0x26c5, 1}, {0x26ce, 0x26d4, 6}, {0x26ea, 0x26ea, 1},
		{0x26f2, 0x26f3, 1}, {0x26f5, 0x26fa, 5}, {0x26fd, 0x2705, 8}, {0x270a, 0x270b, 1}, {0x2728, 0x2728, 1},
		{0x274c, 0x274e, 2}, {0x2753, 0x2755, 1}, {0x2757, 0x2757, 1}, {0x2795, 0x2797, 1}, {0x27b0, 0x27bf, 15},
		{0x2b1b, 0x2b1c, 1}, {0x2b50, 0x2b55, 5}, {0x2e80, 0x303e, 1}, {0x3041, 0x4dbf, 1}, {0x4e00, 0xa4cf, 1},
		{0xa960, 0xa97f, 1}, {0xac00, 0xd7a3, 1}, {0xf900, 0xfaff, 1}, {0xfe10, 0xfe19, 1}, {0xfe30, 0xfe6f, 1},
		{0xff01, 0xff60, 1}, {0xffe0, 0xffe6, 1},
	},
	R32: []unicode.Range32{
		{0x16fe0, 0x18cff, 1}, {0x1b000, 0x1b2ff, 1}, {0x1f004, 0x1f0cf, 203}, {0x1f18e, 0x1f18e, 1}, {0x1f191, 0x1f19a, 1},
		{0x1f200, 0x1f64f, 1}, {0x1f680, 0x1f6ff, 1}, {0x1f7e0, 0x1f7eb, 1}, {0x1f900, 0x1f9ff, 1}, {0x1fa70, 0x1faff, 1},
		{0x20000, 0x3fffd, 1},
	},
}

// maxBytes bounds the bytes of a cell on the average: any number of marks can stand on
// one character, and what is cut must become short.
const maxBytes = 8

// Cut is the beginning of text that takes at most n cells, its last one "…" where more
// would follow.
func Cut(text string, n int) string {
	cut, used := 0, 0 // text[:cut] leaves room for the sign
	for i, r := range text {
		if used <= n-1 {
			cut = i
		}
		used += cell(r)
		if used > n || i+utf8.RuneLen(r) > n*maxBytes {
			if n <= 0 {
				return ""
			}
			return text[:cut] + "…"
		}
	}
	return text
}

// End is the end of text that takes at most n cells.
func End(text string, n int) string {
	start, used := len(text), 0
	for start > 0 {
		r, size := utf8.DecodeLastRuneInString(text[:start])
		if used += cell(r); used > n || len(text)-start+size > n*maxBytes {
			break
		}
		start -= size
	}
	return text[start:]
}

// Unfinished is how many bytes at the end of text are the beginning of a character whose
// end is not there: what was cut by bytes ends so.
func Unfinished(text []byte) int {
	for n := 1; n <= len(text) && n < utf8.UTFMax; n++ {
		if end := text[len(text)-n:]; utf8.RuneStart(end[0]) {
			if utf8.FullRune(end) {
				return 0
			}
			return n
		}
	}
	return 0
}

// Unbegun is how many bytes at the beginning of text are the end of a character.
func Unbegun(text []byte) (n int) {
	for n < min(len(text), utf8.UTFMax-1) && !utf8.RuneStart(text[n]) {
		n++
	}
	return n
}

// Pad is text with blanks behind it, so that it takes n cells at least.
func Pad(text string, n int) string {
	return text + strings.Repeat(" ", max(n-Cells(text), 0))
}
