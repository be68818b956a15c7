package lineedit

import (
	"io"
	"strings"
	"unicode/utf8"

	"github.com/freeflowuniverse/processmanager/supervisor/border"
)

// complete handles the tab.
func (e *editor) complete(line string, pos int, key rune) (_ string, _ int, done bool) {
	defer border.Catch(func(fault *border.Panic) { e.fault, done = fault, false })
	if key != '\t' {
		return "", 0, false
	}
	before, after := line[:pos], line[pos:]
	word := before[strings.LastIndexAny(before, " \t")+1:]
	words := e.candidates(before, word)
	if len(words) == 0 && (e.framer.InQuoteAfter(before) || strings.TrimSpace(before) == "" && e.framer.Len() > 0) {
		return before + "\t" + after, pos + 1, true
	}
	if len(words) == 0 {
		return line, pos, true
	}
	common := words[0]
	for _, w := range words {
		for !strings.HasPrefix(w, common) {
			_, size := utf8.DecodeLastRuneInString(common)
			common = common[:len(common)-size]
		}
	}
	if len(words) == 1 && !strings.HasSuffix(common, ":") && !strings.HasSuffix(common, " ") {
		common += " "
	}
	if len(common) > len(word) || len(words) == 1 {
		before = before[:len(before)-len(word)] + common
	} else {
		io.WriteString(&visible{w: e.term}, columns(words, e.width))
	}
	return before + after, len(before), true
}

// candidates are what the word could become that ends the line so far. Within a
// quote that is only the value whose beginning stands there: name:'we.
func (e *editor) candidates(before, word string) (words []string) {
	switch start := before[:len(before)-len(word)]; {
	case e.Complete == nil, strings.TrimSpace(before) == "" && e.framer.Len() > 0:
		return nil
	case !e.framer.InQuoteAfter(before):
		return e.Complete(before, len(before))
	case e.framer.InQuoteAfter(start):
		return nil
	default:
		at := strings.IndexAny(word, `'"`)
		key, quote, value := word[:at], word[at:at+1], word[at+1:]
		for _, w := range e.Complete(start+key+value, len(start+key+value)) {
			if whole, ok := strings.CutPrefix(strings.TrimSuffix(w, " "), key); ok && !strings.ContainsAny(whole, `'"\\`) {
				words = append(words, key+quote+whole+quote+" ")
			}
		}
		return words
	}
}
