// Package logs moves what processes write from FIFOs to files, every byte once
// and in order, keeps it within limits, and finds it again.
//
// # Model
//
// A [Mover] is the engine: one goroutine waits for all FIFOs, and others move in turns
// what is in them, so that a log with a slow disk or with very small files holds up no
// other. One goroutine at most compresses, for a second at a time per log. A [Log] is what one process has written, in one directory; it costs
// nothing but memory while nobody writes or reads. A [Pump] moves one run's FIFO
// into a Log, or into any other writer.
//
//	FIFO of a run ── Pump ──▶ Log ──▶ 00000000000000000000.log.zst   an archive
//	                                  00000000000000000000.idx
//	                                  00000000000010485760.log       the current file
//	                                  00000000000010485760.idx
//	                                  current -> 00000000000010485760.log
//
// A file is named after the offset of its first byte since the log began, so an
// offset is a stable position: it survives rotation and restarts. To rotate is to
// create the next file, one step that is done or not done. Files hold the bytes as
// they were written and nothing else (but see "A full disk"). The end of a run ends its
// last line for readers only, see [Query].
//
// # Exactness
//
// Bytes go from the pipe to the file by splice(2), which takes from the pipe
// exactly what the file has got, so a mover can be killed at any instruction: what
// is not in the file is still in the FIFO. The next mover goes on at the end of
// the file; the file's size is the truth. On a file system without splice (EINVAL)
// a copy of the bytes (tee) is read and written, then the bytes are taken; a kill between
// the two doubles up to 64 KiB.
// Nothing is synced: a machine that loses power loses what the kernel had not
// written yet.
//
// # Times
//
// Beside each file stands an index: at an offset, the time and the run from there
// on. One entry is written for a batch, before its bytes; of batches of one run
// that are moved within 10 ms only the first has one. So the time of a line is that
// at which it was moved: up to [BatchDelay] later than it was written ([FollowDelay]
// while somebody follows), or up to 10 ms earlier, as long as the mover runs and
// keeps up. What waited in the FIFO while there was no mover has the time at which
// the next one came. Times are those of the clock as it was: where it was set back they go
// back, and what a query asks for between two times may be in several places.
//
// # Archives
//
// A rotated file is compressed some seconds later, one at a time over all logs, in
// the seekable format of zstd: independent frames and a table of them at the end,
// which zstd -dc reads as well. Compressed or not makes no difference to a reader.
//
// # Too few descriptors
//
// A log without a descriptor for its files has those of the logs closed whose turn it
// is not. If that does not do, its writers wait for 10 s; then it is as on a full disk.
// FIFOs leave the last descriptors to files and connections.
//
// # A file that cannot grow
//
// Where a file has all bytes that the file system or the daemon's RLIMIT_FSIZE
// (ulimit -f, which runs inherit) lets one have, the next one is begun, within a line
// if need be.
//
// # A full disk
//
// When the disk is full the oldest archive is removed, then the next. A file that is
// full, where there is no room for the name of the next one, counts as an archive. When
// there is none left bytes are counted and dropped, unless [Options.Block] is set. (Then
// too what a run has left in its FIFO when it ends: nobody is there to wait.) The
// first thing written after that is a line that says how many bytes are missing,
// also when another mover writes it (a killed one may have dropped more, in its last
// second, than it had noted).
package logs
