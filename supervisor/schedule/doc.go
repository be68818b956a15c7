// Package schedule says when: an expression and a zone become times.
//
// # Model
//
// An expression is five fields (minute, hour, day of the month, month, day of the
// week), six with the second in front of them, a descriptor (@daily), or @every and a
// length of time. Its zone is said in front of it (CRON_TZ=Europe/Brussels) or beside it;
// without one it is the daemon's local time. [Validate] reads the text and needs no zone
// data; [Parse] looks the zone up too. @reboot has no times of its own.
//
// A [Schedule] answers three questions. [Schedule.Next] is the first time after another:
// always later than the one asked for, so a loop that follows it makes progress.
// [Schedule.Last] is the latest time that has come. [Schedule.Count] is how many come
// between two. None costs more for a longer gap or for more times: months and days are
// skipped, and nobody looks at the times between.
//
// [Schedule.Past] says what becomes of times that came while nobody looked, whatever the
// cause: they are run now, or they were missed. [Jitter] is how much later a process runs.
//
// # Days
//
// The day fields are combined as Vixie cron combines them. Where one of them begins with a
// star (or a ?), a day is named by both: '0 0 * * mon' is each Monday, and '0 0 */2 * mon'
// is each Monday with an odd date. Where neither does, a day that one of them names will
// do: '0 0 1 * mon' is the first of the month and each Monday.
//
// # Clocks that change
//
// As in Debian's cron there are two kinds of schedules.
//
// A schedule whose minute or hour field begins with a star follows the clock on the
// wall: it runs whenever that shows a time that the fields name. An hour that is
// skipped has no runs, one that is repeated has them twice. So has one whose field of
// seconds begins with a star, which cron does not have.
//
// Any other schedule runs when the clock first reaches or passes a time that the
// fields name. So a time that is skipped runs once, right after the gap, and a time that
// is repeated runs at its first occurrence.
//
// Debian's cron takes a change of the clocks for one if it is from five minutes up to three
// hours; here it may have any size: half an hour (Australia/Lord_Howe) or a day
// (Pacific/Apia, at the date line). And where several times of one schedule are in one gap,
// cron runs them one behind the other, ten seconds apart; here they are one time and run once.
//
// # Implementation
//
// robfig/cron reads the fields; its own Next is not used. It can give a time that is
// not later than the one asked for where clocks change off the full hour, and leaves
// out days elsewhere. text.go checks the text and words the errors, calendar.go finds
// and counts times in the fields alone, zone.go turns times of the calendar into real ones,
// catchup.go and jitter.go are the policies.
package schedule
