package verbs

import (
	"fmt"
	"slices"
	"strings"
)

// Nearest is the verb that was probably meant by a name, or nil.
func Nearest(name string) *Verb {
	var known []string
	for i := range table {
		known = append(known, table[i].Name, table[i].Short())
	}
	v, _ := Lookup(nearest(name, known))
	return v
}

// maxMeant is the longest word, in bytes, that is taken for a name with a slip in it.
const maxMeant = 64

// nearest is the name that was probably meant, or empty: the only one that begins so, or
// the most alike.
func nearest(name string, known []string) string {
	if len(name) > maxMeant {
		return ""
	}
	if begins := slices.DeleteFunc(slices.Clone(known), func(k string) bool { return !strings.HasPrefix(k, name) }); len(begins) == 1 && name != "" {
		return begins[0]
	}
	best, bestDistance := "", len(name)/2+1
	for _, k := range known {
		if d := distance(name, k); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// DidYouMean is a hint at the known name that was probably meant, or nothing.
func DidYouMean(name string, known []string) string { return didYouMean(nearest(name, known)) }

// didYouMean is a hint at a name, nothing for none.
func didYouMean(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %s?", name)
}

// didYouMeanVerb is a hint at a verb.
func didYouMeanVerb(name string) string {
	if v := Nearest(name); v != nil {
		return didYouMean(v.Name)
	}
	return ""
}

// distance is the number of bytes to insert, delete or replace, or of neighbours to
// swap, to make b of a (optimal string alignment).
func distance(a, b string) int {
	d := make([][]int, len(a)+1) // d[i][j]: of the first i bytes of a and j of b
	for i := range d {
		d[i] = make([]int, len(b)+1)
		for j := range d[i] {
			switch {
			case i == 0 || j == 0:
				d[i][j] = i + j
			case a[i-1] == b[j-1]:
				d[i][j] = d[i-1][j-1]
			default:
				d[i][j] = 1 + min(d[i-1][j-1], d[i][j-1], d[i-1][j])
				if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
					d[i][j] = min(d[i][j], d[i-2][j-2]+1)
				}
			}
		}
	}
	return d[len(a)][len(b)]
}
