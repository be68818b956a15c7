// Package files keeps the daemon's own files as they should be, whatever others do and
// whenever the machine loses power.
//
// # Model
//
// A small file is written only when what it holds changes, and whole or not at all:
// [Put] writes a new file, syncs it, renames it into place, and syncs the directory. So
// a full or read-only disk stops nobody who has nothing new to write, and no power cut
// leaves an empty file.
//
// A [Guard] tells when somebody has deleted, moved or replaced a file, or moved or
// deleted a directory above it. What is to be done then is its owner's to know: look
// first, for a Guard may tell of nothing.
package files
