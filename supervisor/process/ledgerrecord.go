package process

import "encoding/json"

// LedgerRecord is an entry in the ledger of its process.
type LedgerRecord struct {
	Name string
	LedgerEntry
	Err error // why the ledger of Name cannot be told; then there is no entry
}

// entered is a LedgerRecord that has an entry, in JSON.
type entered struct {
	Name string `json:"name"`
	*LedgerEntry
}

// MarshalJSON writes the entry, or the failure.
func (r LedgerRecord) MarshalJSON() ([]byte, error) {
	if r.Err != nil {
		return json.Marshal(failureOf(r.Name, r.Err))
	}
	return json.Marshal(entered{r.Name, &r.LedgerEntry})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *LedgerRecord) UnmarshalJSON(data []byte) error {
	var failed Failure
	if err := json.Unmarshal(data, &failed); err != nil {
		return err
	}
	*r = LedgerRecord{Name: failed.Name}
	if failed.Code != "" {
		r.Err = failed.Err()
		return nil
	}
	return json.Unmarshal(data, &entered{LedgerEntry: &r.LedgerEntry})
}
