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

// Less free space than this is a note, or a problem.
const (
	littleMiB = 256
	noMiB     = 16
)

func (e *exam) directories() []process.Finding {
	return append(space("state", "-state", e.State), space("runtime", "-runtime", e.Runtime)...)
}

// space looks at a directory, or at the nearest above it if it has yet to be made.
func space(subject, flag, dir string) []process.Finding {
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
	level := noteIf(free < littleMiB)
	if free < noMiB {
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
