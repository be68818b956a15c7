package verbs

import "fmt"

// Nearest is the verb that was probably meant by a name, or nil.
func Nearest(name string) *Verb {
	var known []string
	for i := range table {
		known = append(known, table[i].Name, table[i].Short())
	}
	v, _ := Lookup(nearest(name, known))
	return v
}

// nearest is the name that was probably meant, or empty.
func nearest(name string, known []string) string {
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

// distance is the number of bytes to insert, delete or replace to make b of a
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left, diagonal := i+1, i
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, left, row[j+1])
			}
			row[j], diagonal, left = left, row[j+1], cost
		}
		row[len(b)] = left
	}
	return row[len(b)]
}
