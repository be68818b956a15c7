package process

// Upgrade is how far bringing in the program now on disk has come.
type Upgrade struct {
	Number uint64 `json:"upgrade"` // counts from 1, as long as the keeper lives
	Done   bool   `json:"done"`    // the new worker answers; otherwise the old one is handing over
}
