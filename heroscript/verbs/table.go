package verbs

import (
	"strings"
	"time"
)

// Verb is a command: one row of the table.
type Verb struct {
	Name string // "process.start"
	Help string // one line
	form func(now time.Time) *form
}

// All is the verb table.
func All() []Verb { return table }

// Lookup finds a verb by its full name, or by the part behind the dot.
func Lookup(name string) (*Verb, bool) {
	for i := range table {
		if v := &table[i]; v.Name == name || v.Short() == name {
			return v, true
		}
	}
	return nil, false
}

// Short is the part of the name behind the dot: the client's word for it.
func (v *Verb) Short() string {
	return v.Name[strings.IndexByte(v.Name, '.')+1:]
}

var table []Verb

func init() { // the forms refer to the table for their hints
	table = []Verb{
		{"process.start", "Define a process and start it, or start the one that has the name.", startForm},
		{execVerb, "Run a command once, in the foreground: its output, and then how it ended.", execForm},
		{defineVerb, "Define a process and start nothing.", defineForm},
		{applyVerb, "Make definitions hold that stand in files, as a difference to what there is.", applyForm},
		{"process.export", "Write definitions as heroscript, with all that is secret in them.", exportForm},
		{"process.list", "List all processes, by name.", listForm},
		{"process.status", "Show a process and what it uses.", statusForm},
		{figuresVerb, "Show what each process uses now, in short: for a look at very many, each second.", figuresForm},
		{"process.why", "Say why a process is as it is, and what one would use next: on one screen.", whyForm},
		{"process.stop", "End the whole tree; answers when nobody is left.", stopForm},
		{"process.restart", "End the whole tree, then start the next run; one that waits for its schedule waits on.", restartForm},
		{"process.pause", "Have the whole tree stand still, and its deadline's clock with it; answers when it does.", pauseForm},
		{"process.resume", "Have a paused tree go on.", resumeForm},
		{"process.trigger", "Run a process now, as far as its overlap lets it; its schedule stays as it is.", triggerForm},
		{"process.set", "Change a definition; says what waits for a restart.", setForm},
		{"process.signal", "Send a signal to the main process, or to the whole tree.", signalForm},
		{"process.reclaim", "Have the kernel take memory away from a tree: caches, and what goes to swap.", reclaimForm},
		{"process.delete", "End the whole tree and forget the process, its history and logs.", deleteForm},
		{waitVerb, "Wait for the end of a run, or until a process is ready, at rest or healthy.", waitForm},
		{"process.log", "Show a process's output: its last lines, those of a time or a run, or as it comes.", logForm},
		{"process.runs", "Show the runs that have ended, the oldest first.", runsForm},
		{"process.ledger", "Show what became of each time of a schedule, the oldest first.", ledgerForm},
		{"process.next", "Show the times of schedules that are to come, in order.", nextForm},
		{"process.schedule_pause", "Let the times of a schedule pass without a run, until it is resumed.", schedulePauseForm},
		{"process.schedule_resume", "Have a schedule that was paused go on with its next time.", scheduleResumeForm},
		{"process.skip_next", "Let the next time of a schedule pass without a run.", skipNextForm},
		{"process.events", "Show what has changed, in order, or as it comes.", eventsForm},
		{"process.tree", "Draw the kernel processes of what runs, or what processes need.", treeForm},
		{"upgrade", "Replace the running daemon with the program on disk. Processes keep running.", upgradeForm},
		{"doctor", "Show what the daemon found on this host, what follows, and what mends it.", doctorForm},
	}
}

// Params are the verb's own parameters.
func (v *Verb) Params() []Param { return v.form(time.Time{}).own() }

// AllParams are the verb's own parameters and those that all verbs take.
func (v *Verb) AllParams() []Param { return v.form(time.Time{}).all() }

// Refused are the parameters that the verb reads only to say why it does not take them.
func (v *Verb) Refused() []Param {
	if f := v.form(time.Time{}); f.fields != nil {
		return f.fields.those(false)
	}
	return nil
}

// Common are the parameters that all verbs take.
func Common() []Param {
	common := new(form).common()
	return common[:]
}

// Takes reports whether the verb has the parameter.
func (v *Verb) Takes(name string) bool { return v.form(time.Time{}).param(name) != nil }

// Needs reports whether the verb has the parameter and does not do without it.
func (v *Verb) Needs(name string) bool {
	p := v.form(time.Time{}).param(name)
	return p != nil && p.Required
}

func verbNames() (names []string) {
	for _, v := range table {
		names = append(names, v.Name)
	}
	return names
}
