package podrun

import (
	"sort"
	"time"
)

// containerLog is what a container printed, standard output and error as they came. It knows when each line began, as a
// container runtime's log file does. The Pod's mutex guards it.
type containerLog struct {
	text  []byte
	lines []lineStart
	open  bool // the last line has no end yet
	ended bool
	more  chan struct{} // closed when there is more, or nothing will come any more
}

type lineStart struct {
	offset int
	time   time.Time
}

func (l *containerLog) add(text []byte) {
	now := time.Now()
	for index, character := range text {
		if !l.open {
			l.lines = append(l.lines, lineStart{len(l.text) + index, now})
		}
		l.open = character != '\n'
	}
	l.text = append(l.text, text...)
	l.wake()
}

func (l *containerLog) end() {
	l.ended = true
	l.wake()
}

func (l *containerLog) wake() {
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
}

// since is where the first line begins that came at that time or later.
func (l *containerLog) since(when time.Time) int {
	index := sort.Search(len(l.lines), func(i int) bool { return !l.lines[i].time.Before(when) })
	if index == len(l.lines) {
		return len(l.text)
	}
	return l.lines[index].offset
}

// Log is what a container printed so far.
func (p *Pod) Log(container string) string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return string(p.containers[container].log.text)
}

// Begun says whether a container has been started, so that there is a log.
func (p *Pod) Begun(container string) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	state, known := p.containers[container]
	return known && state.status.State.Waiting == nil
}

// LogSince is where in a container's log the first line begins that came at that time or later.
func (p *Pod) LogSince(container string, when time.Time) int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.containers[container].log.since(when)
}

// ReadLog is a container's log from an offset on. The channel is closed when there may be more; it is nil when there won't.
func (p *Pod) ReadLog(container string, offset int) ([]byte, <-chan struct{}) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	log := &p.containers[container].log
	text := append([]byte(nil), log.text[min(offset, len(log.text)):]...)
	if log.ended {
		return text, nil
	}
	if log.more == nil {
		log.more = make(chan struct{})
	}
	return text, log.more
}

type logWriter struct {
	pod   *Pod
	state *state
}

func (w *logWriter) Write(text []byte) (int, error) {
	w.pod.mutex.Lock()
	defer w.pod.mutex.Unlock()
	w.state.log.add(text)
	return len(text), nil
}
