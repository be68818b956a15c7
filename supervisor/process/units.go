package process

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// day is what "1d" stands for: 24 hours, whatever the clocks of a zone do.
const day = 24 * time.Hour

// ParseDuration reads a length of time: a number of seconds, fractions allowed ("30",
// "1.5"), or numbers with units ("90s", "1h30m", "1d"). It is between 0 and MaxTime.
func ParseDuration(text string) (time.Duration, error) {
	d, err := parseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s is not a length of time: a number of seconds such as 30 or 1.5, or 500ms, 90s, 10m, 2h, 1d", Printable(text))
	case d < 0 || d > MaxTime:
		return 0, fmt.Errorf("%s is not between 0 and 100 years", Printable(text))
	}
	return d, nil
}

// seconds is a plain number. Go's own parser would take "0x1p3", "Inf" and "1_000" too.
var seconds = regexp.MustCompile(`^([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][+-]?[0-9]{1,2})?$`)

func parseDuration(text string) (time.Duration, error) {
	if len(text) > 64 {
		return 0, strconv.ErrSyntax
	}
	if seconds.MatchString(text) {
		exact, ok := new(big.Rat).SetString(text)
		if !ok {
			return 0, strconv.ErrSyntax
		}
		return roundRat(exact.Mul(exact, new(big.Rat).SetInt64(int64(time.Second)))), nil
	}
	var whole time.Duration
	if days, rest, found := strings.Cut(text, "d"); found {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || n > uint64(MaxTime/day)+1 {
			return MaxTime + 1, err
		}
		if whole, text = time.Duration(n)*day, rest; text == "" {
			return whole, nil
		}
	}
	if !strings.ContainsAny(text[:min(len(text), 1)], ".0123456789") { // a sign too
		return 0, strconv.ErrSyntax
	}
	d, err := time.ParseDuration(text)
	if err != nil || d > MaxTime {
		return MaxTime + 1, err
	}
	return whole + d, nil
}

// roundRat is the nearest whole number, or more than MaxTime where that is too much.
func roundRat(r *big.Rat) time.Duration {
	r.Add(r, big.NewRat(1, 2))
	n := new(big.Int).Quo(r.Num(), r.Denom())
	if !n.IsInt64() {
		return MaxTime + 1
	}
	return time.Duration(n.Int64())
}

// FormatDuration is d as a number of seconds that ParseDuration reads back exactly, and
// that JSON takes as a number.
func FormatDuration(d time.Duration) string {
	text := strconv.FormatInt(int64(d/time.Second), 10)
	if fraction := d % time.Second; fraction != 0 {
		text += strings.TrimRight(fmt.Sprintf(".%09d", fraction), "0")
	}
	return text
}

// ShortDuration is d for people, without the zeros behind it: 1m, 1h30m.
func ShortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// size is a number with a unit, or without one.
var size = regexp.MustCompile(`^([0-9]{1,19})(?:([KMGT])I?)?B?$`)

// ParseSize reads a number of bytes: plain, or with K, M, G or T, also as KB or KiB:
// powers of 1024 all of them.
func ParseSize(text string) (int64, error) {
	parts := size.FindStringSubmatch(strings.ToUpper(text[:min(len(text), 64)]))
	if parts == nil {
		return 0, notASize(text)
	}
	shift := 0
	if parts[2] != "" {
		shift = 10 * (1 + strings.Index("KMGT", parts[2]))
	}
	n, err := strconv.ParseUint(parts[1], 10, 63)
	if err != nil || n > math.MaxInt64>>shift {
		return 0, notASize(text)
	}
	return int64(n) << shift, nil
}

func notASize(text string) error {
	return fmt.Errorf("%s is not a size: a number of bytes, or one with K, M, G or T such as 512K, 64M, 2GiB", Printable(text))
}
