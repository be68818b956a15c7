package process

// MinReclaim is the least that can be reclaimed: a page.
const MinReclaim = 4 << 10

// Reclaimed is how memory was taken away from the runs of a process that are under way.
type Reclaimed struct {
	Name   string
	Asked  uint64 // bytes
	Before uint64 // bytes of memory that they had
	After  uint64 // and have: they may have taken some meanwhile
	All    bool   // the kernel says that as much as was asked for was taken away
	Late   bool   // it was still at it when the time for it was over
	Err    error  // why nothing was done
}

// reclaimed is a Reclaimed of which something was done, in JSON.
type reclaimed struct {
	Name   string `json:"name"`
	Asked  uint64 `json:"asked_bytes"`
	Before uint64 `json:"memory_before_bytes"`
	After  uint64 `json:"memory_after_bytes"`
	Less   uint64 `json:"reclaimed_bytes"` // the difference; 0: it has grown
	All    bool   `json:"complete"`
	Late   bool   `json:"time_over,omitempty"`
}

// Less is by how much the memory has fallen.
func (r Reclaimed) Less() uint64 { return r.Before - min(r.Before, r.After) }

// MarshalJSON writes what was done, or the failure.
func (r Reclaimed) MarshalJSON() ([]byte, error) {
	return marshalOr(r.Name, r.Err, reclaimed{r.Name, r.Asked, r.Before, r.After, r.Less(), r.All, r.Late})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Reclaimed) UnmarshalJSON(data []byte) error {
	var is reclaimed
	name, failed, err := unmarshalOr(data, &is)
	*r = Reclaimed{Name: name, Asked: is.Asked, Before: is.Before, After: is.After, All: is.All, Late: is.Late, Err: failed}
	return err
}
