package supervisor

import (
	"sync"

	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// rowsOf is what tell gives of each process that is selected, so many at once, 0 for any
// number, in their order; failed is the row of one that is not there.
func rowsOf[T any](s *Supervisor, of process.Selection, atOnce int, tell func(*managed) T, failed func(name string, err error) T) ([]T, error) {
	var mu sync.Mutex
	told := map[string]T{}
	list, err := s.each(of, atOnce, nil, func(p *managed, _ *process.Outcome) {
		row := tell(p)
		mu.Lock()
		defer mu.Unlock()
		told[p.name] = row
	})
	rows := make([]T, 0, len(list))
	for _, o := range list {
		row, ok := told[o.Name]
		if !ok {
			row = failed(o.Name, o.Err)
		}
		rows = append(rows, row)
	}
	return rows, err
}
