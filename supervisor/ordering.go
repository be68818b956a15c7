package supervisor

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/freeflowuniverse/processmanager/supervisor/order"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// ordering is which process comes before which, of all that are defined. It takes nothing
// that makes a cycle or needs what is not there, whoever asks at the same time.
type ordering struct {
	mu      sync.Mutex
	of      map[string]process.Ordering
	before  order.Graph
	needing map[string]map[string]bool // who needs a process, by its name
	leaving map[string]bool            // is being deleted: nobody may come to need it
}

func newOrdering() *ordering {
	return &ordering{of: map[string]process.Ordering{}, before: order.Graph{}, needing: map[string]map[string]bool{}, leaving: map[string]bool{}}
}

// put is for a process that is defined, or changed.
func (o *ordering) put(name string, by process.Ordering) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, err := o.check(map[string]process.Ordering{name: by}); err != nil {
		return err
	}
	o.set(name, by)
	return nil
}

// checkAll says why definitions that come together cannot be, and which; nil: they can.
func (o *ordering) checkAll(specs []process.Spec) (of string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.check(orderings(specs))
}

// putAll is put for several that come together.
func (o *ordering) putAll(specs []process.Spec) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	changes := orderings(specs)
	if _, err := o.check(changes); err != nil {
		return err
	}
	for name, by := range changes {
		o.set(name, by)
	}
	return nil
}

func orderings(specs []process.Spec) map[string]process.Ordering {
	all := make(map[string]process.Ordering, len(specs))
	for _, s := range specs {
		all[s.Name] = s.Ordering
	}
	return all
}

// check gives the process whose ordering cannot be, too.
func (o *ordering) check(changes map[string]process.Ordering) (of string, err error) {
	names := slices.Sorted(maps.Keys(changes))
	graph := o.before
	for _, name := range names {
		by := changes[name]
		if by == o.of[name] {
			continue
		}
		for _, need := range by.AllNeeds() {
			_, comes := changes[need.Name]
			if _, there := o.of[need.Name]; !comes && (!there || o.leaving[need.Name]) {
				return name, process.Errorf(process.CodeInvalid, "needs: process '%s' needs '%s', and there is no process of that name: define that first, or both in one file", name, need.Name)
			}
		}
		graph = graph.With(name, by.Before())
	}
	for _, name := range names {
		if path := graph.Cycle(name); path != nil {
			return name, process.Errorf(process.CodeInvalid, "needs: a cycle, in which each comes behind the next: %s", strings.Join(path, " -> "))
		}
	}
	return "", nil
}

// restore is for a process that was defined before; nothing is checked.
func (o *ordering) restore(name string, by process.Ordering) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.set(name, by)
}

func (o *ordering) set(name string, by process.Ordering) {
	o.drop(name)
	o.of[name] = by
	if before := by.Before(); len(before) > 0 {
		o.before[name] = before
	}
	for _, need := range by.AllNeeds() {
		if o.needing[need.Name] == nil {
			o.needing[need.Name] = map[string]bool{}
		}
		o.needing[need.Name][name] = true
	}
}

func (o *ordering) drop(name string) {
	for _, need := range o.of[name].AllNeeds() {
		if delete(o.needing[need.Name], name); len(o.needing[need.Name]) == 0 {
			delete(o.needing, need.Name)
		}
	}
	delete(o.of, name)
	delete(o.before, name)
}

// leave is for a process that is about to be deleted. It is refused while others need it.
func (o *ordering) leave(name string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if by := o.whoNeeds(name); len(by) > 0 {
		return process.Errorf(process.CodeNeeded, "process '%s' is needed by %s: delete that first, or change its needs with process.set (pmclient set)", name, strings.Join(by, ", "))
	}
	o.leaving[name] = true
	return nil
}

// stay is for one that was not deleted after all.
func (o *ordering) stay(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.leaving, name)
}

// forget is for one that is no more.
func (o *ordering) forget(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.leaving, name)
	o.drop(name)
}

// neededBy are the names of those that need a process, sorted.
func (o *ordering) neededBy(name string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.whoNeeds(name)
}

// isNeeded reports whether anybody needs a process.
func (o *ordering) isNeeded(name string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.needing[name]) > 0
}

func (o *ordering) whoNeeds(name string) []string {
	return slices.Sorted(maps.Keys(o.needing[name]))
}

// graph is how all stand to one another now.
func (o *ordering) graph() order.Graph {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.before)
}
