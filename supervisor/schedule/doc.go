// Package schedule says when: an expression and a zone become times.
//
// # Model
//
// An expression is five fields (minute, hour, day of the month, month, day of the
// week), a descriptor (@daily), or @every and a length of time, with a zone in front
// of it if need be (CRON_TZ=Europe/Brussels). Without a zone it is the daemon's local
// time. [Validate] reads the text and needs no zone data; [Parse] looks the zone up too.
//
// A [Schedule] answers two questions. [Schedule.Next] is the first time after another:
// always later than the one asked for, so a loop that follows it makes progress.
// [Schedule.Last] is the latest time that has come. Neither costs more for a longer
// gap or a longer absence: months and days are skipped, and nobody counts the times
// between.
//
// # Days
//
// Where both day fields choose, a day that one of them names will do. A field that
// holds a star alone, or a ?, does not choose; one with a step (*/2) does.
//
// # Clocks that change
//
// As in Debian's cron there are two kinds of schedules.
//
// A schedule whose minute or hour field begins with a star follows the clock on the
// wall: it runs whenever that shows a time that the fields name. An hour that is
// skipped has no runs, one that is repeated has them twice.
//
// Any other schedule runs when the clock first reaches or passes a time that the
// fields name. So a time that is skipped runs once, right after the gap; several in
// one gap run once together. A time that is repeated runs at its first occurrence.
// This holds for a change of any size: for half an hour (Australia/Lord_Howe) and for
// a day (Pacific/Apia, at the date line).
//
// # Implementation
//
// robfig/cron reads the fields; its own Next is not used. It can give a time that is
// not later than the one asked for where clocks change off the full hour, and leaves
// out days elsewhere. text.go checks the text and words the errors, calendar.go finds
// times in the fields alone, zone.go turns times of the calendar into real ones.
package schedule
