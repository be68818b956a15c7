// Package order says which processes come before which others.
//
// # Model
//
// A [Graph] has, for each process, those that come before it: what it needs, and what it is
// to come after. They start in that order, and stop in the reverse one. A graph has no cycle:
// whoever changes one asks [Graph.Cycle] first, with what the change would make of it.
//
// Only the order is decided here. What a process waits for is a matter of its lifecycle.
package order

import (
	"maps"
	"slices"
)

// Graph has the names of those that come before a process, by its name. A name that nothing
// is said of has none before it.
type Graph map[string][]string

// Cycle is a way from name back to itself, with name at both ends; nil: there is none. It is
// the shortest one.
func (g Graph) Cycle(name string) []string {
	from := map[string]string{}
	queue := []string{name}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, next := range g[at] {
			if next == name {
				path := []string{name}
				for ; at != name; at = from[at] {
					path = append(path, at)
				}
				path = append(path, name)
				slices.Reverse(path)
				return path
			}
			if _, seen := from[next]; !seen {
				from[next] = at
				queue = append(queue, next)
			}
		}
	}
	return nil
}

// With is g where other names come before one.
func (g Graph) With(name string, before []string) Graph {
	changed := maps.Clone(g)
	if changed == nil {
		changed = Graph{}
	}
	changed[name] = before
	return changed
}

// Sort is names in an order in which each comes behind those before it, by name where the
// graph does not say. What stands between two names counts though it is not among them.
func (g Graph) Sort(names []string) []string {
	sorted := make([]string, 0, len(names))
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		for _, before := range slices.Sorted(slices.Values(g[name])) {
			visit(before)
		}
		if wanted[name] {
			sorted = append(sorted, name)
		}
	}
	for _, name := range slices.Sorted(slices.Values(names)) {
		visit(name)
	}
	return sorted
}

// Before are those of names that come before one of them, directly or by way of others that
// are not among them.
func (g Graph) Before(name string, names []string) []string {
	wanted := map[string]bool{}
	for _, n := range names {
		wanted[n] = true
	}
	var list []string
	seen := map[string]bool{name: true}
	stack := slices.Clone(g[name])
	for len(stack) > 0 {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[at] {
			continue
		}
		seen[at] = true
		if wanted[at] {
			list = append(list, at)
			continue
		}
		stack = append(stack, g[at]...)
	}
	slices.Sort(list)
	return list
}

// Reversed is the graph of the reverse order.
func (g Graph) Reversed() Graph {
	reversed := Graph{}
	for _, name := range slices.Sorted(maps.Keys(g)) {
		for _, before := range g[name] {
			reversed[before] = append(reversed[before], name)
		}
	}
	return reversed
}
