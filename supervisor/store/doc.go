// Package store keeps what must outlive the daemon: definitions, targets, the runs that
// ended, events, what became of scheduled times, and how far the last start of a daemon has
// come.
//
// # Model
//
// One file holds it all. A [Change] is what is to be written about one process together:
// its definition, its target (with its restarts, and what a later worker owes it), a run that
// ended, what became of times of its schedule, and the events that tell of it. It is written
// in one transaction, so an event can be neither lost nor told twice. Changes are written in
// the order in which they come; of those that wait at the same time up to 500 share a sync. Write never
// waits for the disk: done is called when the change is on it, or when it could not be put
// there.
//
// Nothing is written before [Store.Begin]. A worker that is not ready yet may have to give
// way to the program before it, which must find the file as it left it. Changes that come
// earlier wait.
//
// # Buckets
//
//	meta         "format"           -> "2", and a note for people behind a colon
//	             "daemon"           -> Daemon
//	processes    empty, see format1.go
//	definitions  name               -> Definition
//	targets      name               -> Target
//	runs         name, 0, number    -> process.Run; the highest are kept, see MaxRunBytes
//	events       number             -> process.Event; the highest are kept, see MaxEvents
//	ledger       name, 0, time      -> process.LedgerEntry; the latest are kept, see MaxEntries
//	totals       name               -> process.Totals, with the id of the definition
//
// Values are JSON with names and texts, never ordinals. Numbers in keys are eight bytes,
// the highest first, so that they sort.
//
// The first format had one bucket, processes, with all of a process in one value. Begin
// writes it anew in one transaction, after a copy of the file was made beside it. Should
// that fail it is tried again with the next change.
//
// # Implementation
//
// store.go has Open, Write and the goroutine that writes; buckets.go what stands where;
// history.go and ledger.go what is kept of the past, totals.go what it comes to;
// format1.go the migration; file.go the file itself, which others can delete or replace
// under us; reset.go what is done without a daemon.
package store
