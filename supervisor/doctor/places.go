package doctor

import (
	"errors"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/freeflowuniverse/processmanager/supervisor/private"
	"github.com/freeflowuniverse/processmanager/supervisor/process"
)

// room is how much free space a directory should have, in MiB: less is a note, or a problem.
type room struct{ enough, least uint64 }

var (
	stateRoom   = room{256, 16}
	runtimeRoom = room{16, 1} // there is next to nothing but pipes in it, and that of a user is often small
)

func (e *exam) directories() []process.Finding {
	findings := space("state", "-state", e.State, stateRoom)
	if e.User == nil || e.User.Runs { // else systemd has yet to make the place for it
		findings = append(findings, space("runtime", "-runtime", e.Runtime, runtimeRoom)...)
	}
	return findings
}

// space looks at a directory, or at the nearest above it if it has yet to be made.
func space(subject, flag, dir string, want room) []process.Finding {
	if dir == "" {
		return nil
	}
	if wrong, ok := errors.AsType[*private.Error](private.CheckDir(dir)); ok {
		return distrust(subject, flag, wrong)
	}
	at := nearestDir(dir)
	if err := unix.Access(at, unix.W_OK|unix.X_OK); err != nil {
		return one(subject, process.LevelProblem, "give another directory with "+flag, "nothing can be written to %s: %v", at, err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(at, &st); err != nil {
		return unread(subject, err)
	}
	free := st.Bavail * uint64(st.Bsize) >> 20
	level := noteIf(free < want.enough)
	if free < want.least {
		level = process.LevelProblem
	}
	return one(subject, level, "make room there, or give another directory with "+flag, "%s has %d MiB free", dir, free)
}

// distrust is about a place that others can change, which the daemon does not take.
func distrust(subject, flag string, wrong *private.Error) []process.Finding {
	return one(subject, process.LevelProblem, wrong.Mend+", or give another place with "+flag, "%s %s", wrong.Path, wrong.Problem)
}

// nearestDir is dir, or the nearest directory above it that is there.
func nearestDir(dir string) string {
	for dir != "/" {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		dir = path.Dir(dir)
	}
	return dir
}
