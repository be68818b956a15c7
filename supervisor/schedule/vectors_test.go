package schedule

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// lines are those of a file of testdata that are not comments, each in its parts.
func lines(t *testing.T, file string) (all [][]string) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, "#") {
			parts := strings.Split(line, "|")
			for i := range parts {
				parts[i] = strings.TrimSpace(parts[i])
			}
			all = append(all, parts)
		}
	}
	return all
}

// notAsOCPS are the vectors of the specification that we deliberately do not follow.
var notAsOCPS = map[string]string{
	"1.0-impossible-date-is-syntactically-valid":        "what never comes is refused, with the reason",
	"1.2-seven-field-patterns-constrain-year":           "there is no field of years: a process is for more than one",
	"1.2-range-step-begins-at-1970":                     "there is no field of years",
	"1.2-parser-accepts-7-field-patterns":               "there is no field of years",
	"1.3-last-day-of-month":                             "there is no L: cron does not have it",
	"1.3-last-weekday-of-month":                         "there is no #: cron does not have it",
	"1.3-nth-weekday-of-month":                          "there is no #: '1-7 * */7' and the like say it as cron does",
	"1.3-closest-weekday-within-month":                  "there is no W: cron does not have it",
	"1.3-closest-weekday-does-not-cross-month-boundary": "there is no W",
	"1.4-plus-prefix-requires-logical-and":              "a star with a step says it as cron does",
	"1.4-plus-must-prefix-day-of-week-expression":       "a plus is the sign of a number, as it was from the first version on",
	"1.4-question-mark-invalid-outside-day-fields":      "a ? is a star everywhere, as it was from the first version on",
}

func TestVectorsOfOCPS(t *testing.T) {
	left := maps.Clone(notAsOCPS)
	for _, v := range lines(t, "ocps.txt") {
		id, expr := v[0], v[1]
		s, err := Parse(expr, "UTC", noon)
		as := err == nil
		if v[2] == "reject" {
			as = !as
		} else if err == nil && v[2] != "accept" {
			matches := func(text string) bool { return s.Next(at(t, text).Add(-1)).Equal(at(t, text)) }
			as = !slices.ContainsFunc(strings.Fields(v[3]), matches)
			for _, text := range strings.Fields(v[2]) {
				as = as && matches(text)
			}
		}
		if _, differs := left[id]; as == differs {
			t.Errorf("%s, %q: as the specification says: %v; %v", id, expr, as, err)
		}
		delete(left, id)
	}
	for id := range left {
		t.Errorf("there is no vector %s", id)
	}
	daily, same := mustParse(t, "@daily"), mustParse(t, "0 0 * * *") // 1.1-daily-nickname-equivalence
	for now, n := noon, 0; n < 1000; n++ {
		next := daily.Next(now)
		if now = same.Next(now); !next.Equal(now) {
			t.Fatalf("@daily is %v, and midnight %v", next, now)
		}
	}
}

// notAsCroniter: it moves what is skipped by the length of the gap. Debian's cron, and we, run
// it right after.
var notAsCroniter = map[string]string{
	"US/Eastern 30 2 * * *": "2020-03-08T03:00:00-04:00",
}

func TestVectorsOfCronsimAndCroniter(t *testing.T) {
	for _, v := range append(lines(t, "cronsim.txt"), lines(t, "croniter.txt")...) {
		zone, expr, _ := strings.Cut(v[0], " ")
		s, err := Parse(expr, zone, noon)
		if err != nil {
			t.Fatal(err)
		}
		now, err := time.ParseInLocation("2006-01-02T15:04", v[1], s.Zone())
		if err != nil {
			t.Fatal(err)
		}
		if now.Hour() == 3 && zone == "Europe/Riga" && v[1] == "2021-10-31T03:58" && now.Format("-07") != "+03" {
			now = now.Add(-time.Hour) // the first of two
		}
		from := now
		for _, text := range strings.Fields(v[2]) {
			want := at(t, text)
			if ours := notAsCroniter[v[0]]; ours != "" && want.Format("01-02") == at(t, ours).Format("01-02") {
				want = at(t, ours)
			}
			if now = s.Next(now); !now.Equal(want) {
				t.Errorf("%s after %s: %s, want %s", v[0], v[1], now.Format(time.RFC3339), want.Format(time.RFC3339))
			}
			if got := s.Last(from, now.Add(time.Second)); !got.Equal(now) {
				t.Errorf("%s: the last time is %v, not %v", v[0], got, now)
			}
		}
	}
}

// badByCronsim are the values that its parser refuses at each of these places.
func TestValuesThatCronsimRefuses(t *testing.T) {
	for _, pattern := range []string{
		"%s * * * *", "* %s * * *", "* * %s * *", "* * * %s * ", "* * * * %s", "* * * * * %s",
		"1-%s * * * *", "%s-60 * * * *", "* * * %s-DEC *", "* * * JAN-%s *", "* * * * %s-SUN", "* * * * MON-%s",
	} {
		for _, bad := range []string{"-1", "61", "ABC", "2/", "/2", "2#", "#2", "1##1", "1//2", "¹"} {
			if expr := strings.Replace(pattern, "%s", bad, 1); Validate(expr) == nil {
				t.Errorf("%q is accepted", expr)
			}
		}
	}
	for _, expr := range []string{"* * * *", "* * 5-1 * *", "1-1_0 * * * *", "*/0 * * * *", "* * * * 1#0", "* * * * 1#6", "* * 30 2 *", "* * 31 4 *", "* * * * 5L-6", "* * * * 5L#1", "* * * * 5L/3", "* * * * MONL"} {
		if Validate(expr) == nil {
			t.Errorf("%q is accepted", expr)
		}
	}
}
