package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/proc"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// stepEnvFile is the step of a start that reads a file of variables.
const stepEnvFile proc.Step = "env_file"

// command is what the shell is to run as the run does, or as what belongs to it. An error
// is a *proc.SpawnError: what can be known is known before anything is made.
func (h *Host) command(p Plan, command string) (proc.Command, error) {
	s, who, err := h.settings(&p.Spec)
	if err != nil {
		return proc.Command{}, err
	}
	env, err := h.environ(&p, who)
	if err != nil {
		return proc.Command{}, err
	}
	return proc.Command{Argv: []string{"/bin/sh", "-c", command}, Env: env, Dir: p.Spec.Dir, Settings: s}, nil
}

// settings are what a spec asks for beside its command; nil: nothing, and the start is a
// plain one. who is the user that it names; nil: it names none.
func (h *Host) settings(spec *process.Spec) (s *proc.Settings, who *account, err error) {
	s = &proc.Settings{Umask: spec.Mask(), NoNewPrivileges: spec.NoNewPrivileges, Input: spec.Input()}
	if spec.Nice != 0 {
		s.Nice = &spec.Nice
	}
	if spec.OOMScoreAdj != 0 {
		s.OOMScoreAdj = &spec.OOMScoreAdj
	}
	for _, l := range spec.ResourceLimits() {
		possible, err := h.possible(proc.Rlimit(l))
		if err != nil {
			return nil, nil, err
		}
		s.Limits = append(s.Limits, possible)
	}
	if who, err = h.identity(spec, s); err != nil {
		return nil, nil, err
	}
	if reflect.ValueOf(*s).IsZero() {
		return nil, who, nil
	}
	return s, who, s.Permitted()
}

// identity puts user and groups into s.
func (h *Host) identity(spec *process.Spec, s *proc.Settings) (who *account, err error) {
	etc := accounts(h.Etc)
	if spec.Group != "" {
		gid, err := etc.group(spec.Group)
		if err != nil {
			return nil, &proc.SpawnError{Step: proc.StepGroup, Err: err}
		}
		s.Group = &gid
	}
	if spec.User == "" {
		return nil, nil
	}
	a, err := etc.user(spec.User)
	switch {
	case err != nil:
		return nil, &proc.SpawnError{Step: proc.StepUser, Err: err}
	case a.name == "" && s.Group == nil:
		return nil, &proc.SpawnError{Step: proc.StepUser, Err: errors.New("no user in " + h.Etc + "/passwd has the number " + spec.User + ": give group too")}
	}
	if s.Group == nil {
		s.Group = &a.gid
	}
	s.User = &a.uid
	if !proc.MaySetGroups() {
		if int(a.uid) == os.Geteuid() && int(*s.Group) == os.Getegid() { // they are the daemon's, with all groups
			s.User, s.Group = nil, nil
		}
		return &a, nil
	}
	s.Groups, err = etc.groupsOf(a.name, *s.Group)
	if err != nil {
		return nil, &proc.SpawnError{Step: proc.StepGroups, Err: err}
	}
	return &a, nil
}

// possible is a limit that the kernel can take: of open files there is always one, and
// whoever asks for more is told that something is not permitted.
func (h *Host) possible(l proc.Rlimit) (proc.Rlimit, error) {
	if l.Resource != "nofile" {
		return l, nil
	}
	data, _ := os.ReadFile(h.Procfs + "/sys/fs/nr_open")
	most, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
	switch {
	case err != nil:
	case l.Hard == proc.Unlimited:
		l.Soft, l.Hard = min(l.Soft, most), most
	case l.Hard > most:
		return l, &proc.SpawnError{Step: proc.StepLimit + "nofile", Err: fmt.Errorf("%d is above fs.nr_open, which is %d", l.Hard, most)}
	}
	return l, nil
}

// environ is the environment of a run: a part of the daemon's, with what belongs to the
// user that it runs as, what its file says, what its definition says, and which it is. The
// later counts.
func (h *Host) environ(p *Plan, who *account) ([]string, error) {
	base := proc.Environment(h.Environ)
	if who != nil {
		base = asUser(base, who)
	}
	var file []string
	if spec := p.Spec.EnvFile; spec != "" {
		path, optional := strings.CutPrefix(spec, "-")
		var err error
		file, err = within(envFileTime, func() ([]string, error) { return readEnvFile(path) })
		if optional && errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		if err != nil {
			return nil, &proc.SpawnError{Step: stepEnvFile, Path: path, Err: err}
		}
	}
	return mergeEnv(base, file, lines(p.Spec.Env), p.environ()), nil
}

// environ tells a run which it is.
func (p *Plan) environ() []string {
	env := []string{process.VariableName + "=" + p.ID.Name, process.VariableRun + "=" + strconv.FormatUint(p.ID.Run, 10)}
	if p.JobID != "" {
		env = append(env, process.VariableJobID+"="+p.JobID)
	}
	return env
}

// asUser is an environment with what is the user's own in the place of the daemon's. A
// user without a name has none.
func asUser(base []string, who *account) (env []string) {
	for _, e := range base {
		switch name, _, _ := strings.Cut(e, "="); name {
		case "HOME", "USER", "LOGNAME", "SHELL":
		default:
			env = append(env, e)
		}
	}
	if who.name == "" {
		return env
	}
	env = append(env, "HOME="+who.home, "USER="+who.name, "LOGNAME="+who.name)
	if who.shell != "" {
		env = append(env, "SHELL="+who.shell)
	}
	return env
}

// mergeEnv is all the variables, each once, where it came first and as it came last.
func mergeEnv(lists ...[]string) []string {
	var all []string
	at := map[string]int{}
	for _, list := range lists {
		for _, e := range list {
			name, _, _ := strings.Cut(e, "=")
			if i, is := at[name]; is {
				all[i] = e
				continue
			}
			at[name] = len(all)
			all = append(all, e)
		}
	}
	return all
}

// lines are those of a text that has any.
func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// giveTo has a pipe belong to the user that a command runs as, who could not open it by
// /dev/stderr otherwise.
func giveTo(s *proc.Settings, pipe *os.File) error {
	if s == nil || s.User == nil {
		return nil
	}
	if err := unix.Fchown(int(pipe.Fd()), int(*s.User), -1); err != nil {
		return &proc.SpawnError{Step: proc.StepPrepare, Path: pipe.Name(), Err: err}
	}
	return nil
}
