package main

import (
	"fmt"
	"slices"
	"strings"
)

// width is how long a line of a page's source may be. mandoc wants no more than 80.
const width = 78

// prose is text that people read: a sentence begins a line, as mdoc wants it, and lines are
// folded. It ends with a line end.
func prose(text string) string {
	var b strings.Builder
	for sentence := range strings.SplitSeq(sentences(text), "\n") {
		column := 0
		for i, word := range strings.Fields(sentence) {
			if word = escaped(word); column+1+len(word) > width {
				b.WriteByte('\n')
				column = 0
			} else if i > 0 {
				b.WriteByte(' ')
				column++
			}
			if column == 0 {
				word = guarded(word)
			}
			b.WriteString(word)
			column += len(word)
		}
		if column > 0 {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// sentences puts each sentence on a line. One ends with a full stop before a blank and a
// capital.
func sentences(text string) string {
	var b strings.Builder
	words := strings.Fields(text)
	for i, word := range words {
		b.WriteString(word)
		switch next := i + 1; {
		case next == len(words):
		case strings.HasSuffix(word, ".") && strings.ToLower(words[next][:1]) != words[next][:1]:
			b.WriteByte('\n')
		default:
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// escapes are the characters that mean something else to roff, or look like something else.
var escapes = strings.NewReplacer(`\`, `\e`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`)

// escaped is text that is shown as it is. What is not ASCII is written by its number, so that
// no encoding has to be guessed; so is a dash that begins a word, which people copy.
func escaped(text string) string {
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == '-' && (i == 0 || text[i-1] == ' ' || text[i-1] == '-' || strings.IndexByte("('[", text[i-1]) >= 0):
			b.WriteString(`\-`)
		case r >= 0x80:
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteString(escapes.Replace(string(r)))
		}
	}
	return b.String()
}

// guarded is what may begin a line: no control character is seen in it.
func guarded(text string) string {
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		return `\&` + text
	}
	return text
}

// argument is a word of a macro line.
func argument(text string) string {
	text = escaped(text)
	if strings.ContainsAny(text, ` "`) {
		return `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
	}
	if len(text) <= 3 { // it could be a macro's name, or punctuation
		return `\&` + text
	}
	return text
}

// literal is lines that are shown as they are.
func literal(lines string) string {
	var b strings.Builder
	b.WriteString(".Bd -literal -offset indent\n")
	for line := range strings.Lines(lines) {
		b.WriteString(guarded(escaped(strings.TrimSuffix(line, "\n"))) + "\n")
	}
	b.WriteString(".Ed\n")
	return b.String()
}

// item is an entry of a tagged list: a macro line for the tag, and what it means.
func item(tag, text string) string { return ".It " + tag + "\n" + prose(text) }

// tagged is a list of items.
func tagged(items ...string) string {
	return ".Bl -tag -width Ds\n" + strings.Join(items, "") + ".El\n"
}

// small are words that a sentence may begin with as they are, since they are typed so.
var small = []string{"json", "null", "pm.sock"}

// sentence is text as a sentence of its own: with a capital, and a full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	if word, _, _ := strings.Cut(text, " "); !slices.Contains(small, strings.TrimSuffix(word, ",")) {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}

// joined is sentences one behind the other, without those that are empty.
func joined(texts ...string) string {
	var all []string
	for _, text := range texts {
		if text != "" {
			all = append(all, sentence(text))
		}
	}
	return strings.Join(all, " ")
}
