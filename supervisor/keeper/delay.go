package keeper

import "time"

// restartDelay is how long the keeper waits before it starts a worker again: until
// 100 ms after the last start, or, after a number of deaths in a row before READY,
// from 100 ms doubling to 5 s. up is how long the last worker lived.
func restartDelay(failures int, up time.Duration) time.Duration {
	const first, most = 100 * time.Millisecond, 5 * time.Second
	if failures == 0 {
		return max(0, first-up)
	}
	delay := first
	for range failures - 1 {
		if delay *= 2; delay >= most {
			return most
		}
	}
	return delay
}
