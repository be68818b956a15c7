package process

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
	return marshalOr(r.Name, r.Err, entered{r.Name, &r.LedgerEntry})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *LedgerRecord) UnmarshalJSON(data []byte) (err error) {
	*r = LedgerRecord{}
	r.Name, r.Err, err = unmarshalOr(data, &entered{LedgerEntry: &r.LedgerEntry})
	return err
}
