package main

import (
	"fmt"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/freeflowuniverse/processmanager/heroscript"
)

// constants are what the language's description names and the reader of a page cannot look up.
var constants = map[string]string{"MaxParams": fmt.Sprint(heroscript.MaxParams)}

// language is the description of heroscript: the comment of its package, but for what is
// about the package itself.
func language() (string, error) {
	_, here, _, _ := runtime.Caller(0)
	path := filepath.Join(filepath.Dir(here), "../../heroscript/doc.go")
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		return "", err
	}
	names := comment.Parser{LookupSym: func(_, name string) bool { return constants[name] != "" }}
	doc := names.Parse(file.Doc.Text())
	var b strings.Builder
	b.WriteString(".Sh DESCRIPTION\n")
	about := false
	for i, block := range doc.Content {
		text := plain(block)
		switch block := block.(type) {
		case *comment.Heading:
			if about = text == "Implementation"; !about && text != "Model" {
				b.WriteString(".Ss " + text + "\n")
			}
		case *comment.Paragraph:
			if i == 0 {
				text = strings.TrimPrefix(text, "Package ")
				text = strings.Replace(text, "heroscript reads and writes heroscript,", "Heroscript is", 1)
			}
			if !about {
				b.WriteString(paragraph(&b) + prose(text))
			}
		case *comment.Code:
			if !about {
				b.WriteString(literal(block.Text))
			}
		default:
			return "", fmt.Errorf("%s: a %T in the package comment has no form in a page", path, block)
		}
	}
	return b.String(), nil
}

// paragraph is what stands before a paragraph, unless it is the first of its section.
func paragraph(before *strings.Builder) string {
	lines := strings.Split(strings.TrimSuffix(before.String(), "\n"), "\n")
	if last := lines[len(lines)-1]; strings.HasPrefix(last, ".S") {
		return ""
	}
	return ".Pp\n"
}

// plain is the text of a block of a comment.
func plain(block comment.Block) string {
	var texts []comment.Text
	switch block := block.(type) {
	case *comment.Heading:
		texts = block.Text
	case *comment.Paragraph:
		texts = block.Text
	}
	return plainText(texts)
}

func plainText(texts []comment.Text) string {
	var b strings.Builder
	for _, text := range texts {
		switch text := text.(type) {
		case comment.Plain:
			b.WriteString(string(text))
		case comment.Italic:
			b.WriteString(string(text))
		case *comment.DocLink:
			name := plainText(text.Text)
			if value, ok := constants[name]; ok {
				name = value
			}
			b.WriteString(name)
		case *comment.Link:
			b.WriteString(plainText(text.Text))
		}
	}
	return b.String()
}
