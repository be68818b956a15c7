package border

import (
	"errors"
	"strings"
	"testing"
)

func explode(deep int) {
	if deep > 0 {
		explode(deep - 1)
	}
	var none []int
	none[deep]++
}

// caught is the panic of f.
func caught(f func()) (p *Panic) {
	defer Catch(func(c *Panic) { p = c })
	f()
	return nil
}

func TestAPanicIsOneBoundedLineWithItsPlace(t *testing.T) {
	p := caught(func() { explode(100) })
	if text := p.Error(); !strings.HasPrefix(text, "panic: runtime error: index out of range [0] with length 0, at border.explode border_test.go:") ||
		strings.ContainsAny(text, "\n\t") || strings.Count(text, " < ") != maxFrames-1 {
		t.Errorf("got %q", text)
	}
	if text := caught(func() { panic("a\nb\x1b[2J" + strings.Repeat("x", 1000)) }).Error(); !strings.HasPrefix(text, `panic: a; b\x1b[2Jx`) || !strings.Contains(text, "x…, at border.") {
		t.Errorf("got %q", text)
	}
	if p := caught(func() {}); p != nil {
		t.Errorf("nothing happened, and it caught %v", p)
	}
}

// A goroutine's panic is handed on with the place where it happened.
func TestAPanicThatIsHandedOnKeepsItsPlace(t *testing.T) {
	handed := make(chan *Panic, 1)
	go func() {
		defer Catch(func(p *Panic) { handed <- p })
		panic(errors.New("first"))
	}()
	first := <-handed
	if p := caught(func() { panic(first) }); p != first {
		t.Errorf("got %v, want %v", p, first)
	}
}
