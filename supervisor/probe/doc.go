// Package probe finds out whether a run is ready, or well, by asking it.
//
// # Model
//
// A [process.Probe] is what to ask. [Turns.Ask] asks it once: it waits for its turn, and then
// has so long for an answer. Nil is yes; an error is no, and its text is one short line, the
// probe's last words, in which nothing is left that a terminal would act on.
//
//	tcp, unix   a connection is accepted, and closed at once
//	http        a GET is answered with a status of 200 to 399. No redirect is followed, no
//	            proxy asked, and no more than 64 KiB are read
//	exec        the caller's function runs a command; it exits 0
//
// A [NotAsked] is neither: for want of descriptors, say.
//
// notify, log and delay are not asked: what they wait for comes by itself.
//
// # Side by side
//
// Of all probes of a daemon so many are under way at once; commands, which cost more and may
// take longer, are counted apart. Waiting for a turn is no part of a probe's time: with more
// hanging probes than turns the others come later, and do not fail.
//
// [Next] spreads the probes of many processes over their period, each by its name, so that
// they never come together, and a new worker asks at the same moments as the one before.
package probe
