package schedule

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"testing"
	"time"
)

// Runs at changes of the clocks, in local time. The cases of Europe/Riga are those
// that are known of Debian's cron.
func TestRunsAtChangesOfTheClocks(t *testing.T) {
	for _, c := range []struct {
		zone, expr, after string
		want              string // local times, with the offset
	}{
		// 2021-03-28 03:00 is 04:00.
		{"Europe/Riga", "0 2 * * *", "2021-03-28 01:30", "28T02:00+02 29T02:00+03"},
		{"Europe/Riga", "0 3 * * *", "2021-03-27 01:30", "27T03:00+02 28T04:00+03 29T03:00+03"},
		{"Europe/Riga", "15 3 * * *", "2021-03-28 01:30", "28T04:00+03 29T03:15+03"},
		{"Europe/Riga", "0 4 * * *", "2021-03-27 04:30", "28T04:00+03 29T04:00+03"},
		{"Europe/Riga", "0,30 3,4 * * *", "2021-03-28 01:30", "28T04:00+03 28T04:30+03 29T03:00+03"},
		{"Europe/Riga", "30 1,2,3,4,5 * * *", "2021-03-28 01:30", "28T02:30+02 28T04:00+03 28T04:30+03"},
		{"Europe/Riga", "0 1,3,5,7,9,11,13,15,17,19,21,23 * * *", "2021-03-28 00:30", "28T01:00+02 28T04:00+03 28T05:00+03"},
		{"Europe/Riga", "0 * * * *", "2021-03-28 01:30", "28T02:00+02 28T04:00+03 28T05:00+03"},
		{"Europe/Riga", "30 * * * *", "2021-03-28 01:30", "28T02:30+02 28T04:30+03"},
		{"Europe/Riga", "0 */3 * * *", "2021-03-28 01:30", "28T06:00+03"},
		{"Europe/Riga", "* * * * *", "2021-03-28 02:58", "28T02:59+02 28T04:00+03 28T04:01+03"},
		{"Europe/Riga", "* 1-6 * * *", "2021-03-28 02:58", "28T02:59+02 28T04:00+03"},
		// 2021-10-31 04:00 is 03:00.
		{"Europe/Riga", "0 3 * * *", "2021-10-31 01:30", "31T03:00+03 01T03:00+02"},
		{"Europe/Riga", "15 3 * * *", "2021-10-30 04:00", "31T03:15+03 01T03:15+02"},
		{"Europe/Riga", "0 4 * * *", "2021-10-30 01:30", "30T04:00+03 31T04:00+02 01T04:00+02"},
		{"Europe/Riga", "30 1,2,3,4,5 * * *", "2021-10-31 01:30", "31T02:30+03 31T03:30+03 31T04:30+02"},
		{"Europe/Riga", "0 * * * *", "2021-10-31 02:30", "31T03:00+03 31T03:00+02 31T04:00+02"},
		{"Europe/Riga", "0 */3 * * *", "2021-10-31 01:30", "31T03:00+03 31T03:00+02 31T06:00+02"},
		{"Europe/Riga", "*/30 3 * * *", "2021-10-31 01:30", "31T03:00+03 31T03:30+03 31T03:00+02 31T03:30+02 01T03:00+02"},
		{"Europe/Riga", "@hourly", "2021-10-31 02:30", "31T03:00+03 31T03:00+02"},
		// 03:45 is 02:45, and 02:45 is 03:45.
		{"Pacific/Chatham", "0 3 * * *", "2026-04-04 04:00", "05T03:00+1345 06T03:00+1245 07T03:00+1245"},
		{"Pacific/Chatham", "0 3 * * *", "2026-09-26 04:00", "27T03:45+1345 28T03:00+1345"},
		{"Pacific/Chatham", "50 2 * * *", "2026-04-04 04:00", "05T02:50+1345 06T02:50+1245"},
		{"Pacific/Chatham", "*/30 * * * *", "2026-04-05 02:40", "05T03:00+1345 05T03:30+1345 05T03:00+1245 05T03:30+1245 05T04:00+1245"},
		// 02:00 is 01:30, and 02:00 is 02:30.
		{"Australia/Lord_Howe", "45 1 * * *", "2026-04-04 02:00", "05T01:45+11 06T01:45+1030"},
		{"Australia/Lord_Howe", "15 2 * * *", "2026-10-03 03:00", "04T02:30+11 05T02:15+11"},
		{"Australia/Lord_Howe", "0 0 * * *", "2026-04-04 12:00", "05T00:00+11 06T00:00+1030 07T00:00+1030"},
		{"Australia/Lord_Howe", "30 * * * *", "2026-04-05 00:40", "05T01:30+11 05T01:30+1030 05T02:30+1030"},
		// Back at the beginning of Ramadan, forth at its end; the zone's summer is its standard.
		{"Africa/Casablanca", "30 2 * * *", "2026-02-14 03:00", "15T02:30+01 16T02:30+00"},
		{"Africa/Casablanca", "30 2 * * *", "2026-03-21 03:00", "22T03:00+01 23T02:30+01"},
		{"Europe/Dublin", "30 1 * * *", "2026-03-28 02:00", "29T02:00+01 30T01:30+01"},
		{"Europe/Dublin", "30 1 * * *", "2026-10-24 02:00", "25T01:30+01 26T01:30+00"},
		// No midnight, and two of them.
		{"America/Sao_Paulo", "0 0 * * *", "2018-11-03 12:00", "04T01:00-02 05T00:00-02"},
		{"America/Havana", "30 0 * * *", "2026-10-31 12:00", "01T00:30-04 02T00:30-05"},
		// There was no 30 December.
		{"Pacific/Apia", "0 3 * * *", "2011-12-29 02:00", "29T03:00-10 31T00:00+14 31T03:00+14 01T03:00+14"},
		{"Pacific/Apia", "0 0 30 * *", "2011-12-01 00:00", "31T00:00+14 30T00:00+14"},
		{"Pacific/Apia", "0 * * * *", "2011-12-29 22:30", "29T23:00-10 31T00:00+14 31T01:00+14"},
		{"Pacific/Apia", "0 * 30 12 *", "2011-12-29 22:30", "30T00:00+14"}, // of 2012
		// 23 hours back, so most of a day came twice.
		{"Pacific/Kwajalein", "0 12 * * *", "1969-09-29 13:00", "30T12:00+11 01T12:00-12"},
		// Until 1883-11-18 12:03:58 the clocks showed the sun's time; then 12:00.
		{"America/New_York", "2 12 * * *", "1883-11-17 13:00", "18T12:02-0456 19T12:02-05"},
		{"America/New_York", "0 * * * *", "1883-11-18 10:30", "18T11:00-0456 18T12:00-0456 18T12:00-05 18T13:00-05"},
	} {
		loc, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		now, err := time.ParseInLocation("2006-01-02 15:04", c.after, loc)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Parse("CRON_TZ="+c.zone+" "+c.expr, "", now)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for range strings.Fields(c.want) {
			now = s.Next(now)
			got = append(got, strings.TrimSuffix(now.Format("02T15:04-0700"), "00"))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s %q after %s:\ngot  %s\nwant %s", c.zone, c.expr, c.after, strings.Join(got, " "), c.want)
		}
	}
}

// A loop that follows a daily schedule in a zone whose clocks change off the hour
// runs it once a day, for ever.
func TestDailyRunsComeOnceADay(t *testing.T) {
	for _, name := range []string{"Pacific/Chatham", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Gaza", "Europe/Brussels", "America/St_Johns"} {
		for _, expr := range []string{"0 3 * * *", "50 2 * * *", "15 2 * * *", "0 0 * * *", "59 23 * * *"} {
			s := mustParse(t, "CRON_TZ="+name+" "+expr)
			now := s.Next(time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC))
			for day := now.In(s.zone.Location); now.Year() < 2060; {
				next := s.Next(now)
				day = day.AddDate(0, 0, 1)
				if !next.After(now) || next.In(s.zone.Location).YearDay() != day.YearDay() {
					t.Fatalf("%s %s: after %v comes %v", name, expr, now.In(s.zone.Location), next.In(s.zone.Location))
				}
				now = next
			}
		}
	}
}

// FuzzTimes holds Next, Last and Count against a look at the clocks, minute by minute, for
// three days: nothing is left out, and nothing comes that should not.
func FuzzTimes(f *testing.F) {
	for i := range uint64(40) {
		f.Add(i, uint8(i), int64(i)*0x1000_0000)
	}
	// The moments of known changes.
	for i, name := range zoneNames {
		loc, err := time.LoadLocation(name)
		if err != nil {
			f.Fatal(err)
		}
		for year := 2025; year < 2029; year++ {
			_, end := time.Date(year, 1, 1, 0, 0, 0, 0, loc).ZoneBounds()
			f.Add(uint64(year*i), uint8(i), end.Unix()-int64(year%3)*3600*20)
		}
	}
	f.Fuzz(func(t *testing.T, seed uint64, place uint8, moment int64) {
		const first, last = -3_000_000_000, 250_000_000_000 // the years 1874 and 9892
		checkTimes(t, rand.New(rand.NewPCG(seed, 1)), int(place), max(moment%last, first))
	})
}

func TestTimesAgainstTheClocks(t *testing.T) {
	for i := range 1500 {
		r := rand.New(rand.NewPCG(uint64(i), 2))
		moment := r.Int64N(5_000_000_000) - 2_500_000_000 // 1890 to 2049
		checkTimes(t, r, i, moment)
		if t.Failed() {
			t.Fatal("case ", i)
		}
	}
}

var zoneNames = []string{
	"UTC", "Europe/Brussels", "America/New_York", "Pacific/Chatham", "Australia/Lord_Howe", "Africa/Casablanca", "Europe/Dublin",
	"Pacific/Apia", "Pacific/Kwajalein", "America/Sao_Paulo", "Asia/Kathmandu", "Asia/Gaza", "Antarctica/Troll", "Africa/Monrovia",
	"Europe/Amsterdam", "America/Nuuk", "Asia/Manila", "America/Juneau", "Africa/El_Aaiun", "America/Havana",
}

func checkTimes(t *testing.T, r *rand.Rand, place int, moment int64) {
	expr := randomExpr(r)
	s, err := parse(expr, "")
	if err != nil {
		t.Fatalf("%q: %v", expr, err)
	}
	name := ""
	if n := place % (len(zoneNames) + 20); n < len(zoneNames) {
		name = zoneNames[n]
		if s.zone.Location, err = time.LoadLocation(name); err != nil {
			t.Fatal(err)
		}
	} else {
		name = randomRules(r)
		moment = max(moment, -moment) + 1e7 // before 1970 the library gives such a rule two offsets in one hour
		// The library keeps the rule that holds today at hand, and applies it to times before
		// the zone's last change in its table too.
		const year = 400 * 24 * 60 * 60
		if distance := moment - time.Now().Unix(); -year < distance && distance < year {
			moment += 2 * year
		}
		s.zone = madeZone(t, name, moment+r.Int64N(500_000)-250_000)
	}
	if r.IntN(2) == 0 { // go near a change
		if _, end := time.Unix(moment, 0).In(s.zone.Location).ZoneBounds(); !end.IsZero() && end.Unix() < 250_000_000_000 {
			near := int64(300_000)
			if s.fields.second != 1 {
				near = 4 * hour
			}
			moment = end.Unix() + r.Int64N(near) - near/2
		}
	}
	now := time.Unix(moment, r.Int64N(2)*123)
	where := fmt.Sprintf("%q in %s at %v", expr, name, now.In(s.zone.Location))

	days := int64(3 * day)
	if s.fields.second != 1 {
		days = 2 * hour
	}
	runs := look(s, moment-days, moment+days)
	next, last := s.Next(now), s.Last(time.Unix(moment-days-1, 0), now)
	if !next.IsZero() && !next.After(now) {
		t.Fatalf("%s: next is %v", where, next)
	}
	i := sort.Search(len(runs), func(i int) bool { return runs[i] > moment })
	switch clocks := "none so soon"; {
	case i < len(runs):
		clocks = time.Unix(runs[i], 0).In(s.zone.Location).String()
		if next.Unix() == runs[i] {
			break
		}
		fallthrough
	case !next.IsZero() && next.Unix() <= moment+days:
		t.Fatalf("%s: next is %v, and by the clocks %v", where, next.In(s.zone.Location), clocks)
	}
	wantLast := moment - days - 1
	if i > 0 {
		wantLast = runs[i-1]
	}
	if last.Unix() != wantLast {
		t.Fatalf("%s: last is %v, and by the clocks %v", where, last.In(s.zone.Location), time.Unix(wantLast, 0).In(s.zone.Location))
	}
	if got := s.Count(time.Unix(moment-days, 0), now); got != i {
		t.Fatalf("%s: %d times, and by the clocks %d", where, got, i)
	}
	if got := s.Count(now, time.Unix(moment+days, 0)); got != len(runs)-i {
		t.Fatalf("%s: %d times later, and by the clocks %d", where, got, len(runs)-i)
	}
	if !next.IsZero() { // each is the other's inverse
		if got := s.Last(now.Add(-1), next); !got.Equal(next) {
			t.Fatalf("%s: next is %v, and the last up to it %v", where, next, got)
		}
		if got := s.Last(time.Unix(moment, 0), next.Add(-1)); !got.Equal(time.Unix(moment, 0)) {
			t.Fatalf("%s: next is %v, and before it comes %v", where, next, got)
		}
	}
}

// look is when a schedule runs in (from, to], by looking at the clock each minute, and
// each second of a minute in which it is changed; or, if the schedule has seconds, each.
func look(s *Schedule, from, to int64) (runs []int64) {
	offset := func(at int64) int64 {
		_, offset := time.Unix(at, 0).In(s.zone.Location).Zone()
		return int64(offset)
	}
	named := func(shown int64) bool {
		t := time.Unix(shown, 0).UTC()
		f := &s.fields
		day, weekday := f.day>>t.Day()&1 != 0, f.weekday>>t.Weekday()&1 != 0
		either := day || weekday
		if f.both {
			either = day && weekday
		}
		return f.second>>t.Second()&1 != 0 && f.minute>>t.Minute()&1 != 0 && f.hour>>t.Hour()&1 != 0 && f.month>>t.Month()&1 != 0 && either
	}
	seconds := s.fields.second != 1
	begin := from - 4*24*60*60 // what was shown before counts
	latest := begin + offset(begin)
	looked := begin
	clock := func(at int64) {
		if at <= looked {
			return
		}
		looked = at
		shown := at + offset(at)
		run := s.fields.wild && named(shown)
		passed, step := latest+1, int64(1)
		if !seconds {
			passed, step = latest+60-(latest%60+60)%60, 60
		}
		for ; !s.fields.wild && !run && passed <= shown; passed += step {
			run = named(passed)
		}
		latest = max(latest, shown)
		if run && at > from && at <= to {
			runs = append(runs, at)
		}
	}
	for at := begin; at <= to; at += 60 {
		now := offset(at)
		if now == offset(at+60) && (!seconds || at < from-120) {
			clock(at + (60-(at+now)%60)%60) // the second at which it shows a full minute
			continue
		}
		for second := range int64(61) { // the change may be the next minute's beginning
			clock(at + second)
		}
	}
	return runs
}

func randomExpr(r *rand.Rand) string {
	field := func(low, high int, stars int) string {
		n := func() int { return low + r.IntN(high-low+1) }
		switch r.IntN(6 + stars) {
		case 0:
			return fmt.Sprintf("*/%d", 1+r.IntN(high))
		case 1:
			return fmt.Sprintf("%d,%d", n(), n())
		case 2:
			a := n()
			return fmt.Sprintf("%d-%d", a, a+r.IntN(high-a+1))
		case 3, 4, 5:
			return fmt.Sprint(n())
		}
		return "*"
	}
	hour := field(0, 23, 4)
	if r.IntN(2) == 0 { // where clocks change
		hour = field(0, 4, 2)
	}
	for {
		expr := strings.Join([]string{field(0, 59, 3), hour, field(1, 31, 20), field(1, 12, 30), field(0, 7, 20)}, " ")
		if r.IntN(8) == 0 {
			expr = field(0, 59, 3) + " " + expr
		}
		if Validate(expr) == nil {
			return expr
		}
	}
}

// randomRules is a zone by POSIX's rules, with clocks that change at any second, by
// anything from seconds to a day.
func randomRules(r *rand.Rand) string {
	clock := func(most int) string {
		return fmt.Sprintf("%d:%02d:%02d", r.IntN(most), r.IntN(60), r.IntN(60)*r.IntN(2))
	}
	sign := func() string { return []string{"", "-"}[r.IntN(2)] }
	if r.IntN(6) == 0 {
		return "AAA" + sign() + clock(24)
	}
	first, second := 1+r.IntN(6), 7+r.IntN(6)
	if r.IntN(2) == 0 { // negative summer time, or the southern hemisphere
		first, second = second, first
	}
	return fmt.Sprintf("AAA%s%sBBB%s%s,M%d.%d.%d/%s,M%d.%d.%d/%s", sign(), clock(12), sign(), clock(12),
		first, 1+r.IntN(5), r.IntN(7), clock(24), second, 1+r.IntN(5), r.IntN(7), clock(24))
}

// madeZone is a zone by a POSIX rule that holds from a moment on; before, the clocks
// were an hour, 11 minutes and 13 seconds behind UTC.
func madeZone(t testing.TB, rules string, from int64) zone {
	t.Helper()
	var file bytes.Buffer
	for range 2 { // the first is for those who read 32 bits
		file.WriteString("TZif2" + strings.Repeat("\x00", 15))
		binary.Write(&file, binary.BigEndian, []uint32{0, 0, 0, 1, 2, 8}) // one transition, two types
		if file.Len() > 44 {
			binary.Write(&file, binary.BigEndian, from)
		} else {
			binary.Write(&file, binary.BigEndian, int32(0))
		}
		file.WriteByte(1) // to the second type
		binary.Write(&file, binary.BigEndian, int32(-4273))
		file.WriteString("\x00\x00")
		binary.Write(&file, binary.BigEndian, int32(0))
		file.WriteString("\x00\x04LMT\x00AAA\x00")
	}
	file.WriteString("\n" + rules + "\n")
	loc, err := time.LoadLocationFromTZData("made", file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return zone{loc}
}
