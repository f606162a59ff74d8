package podrun

import (
	"testing"
	"time"
)

func TestALogIsReadFromTheLineOfATimeOn(t *testing.T) {
	var log containerLog
	log.add([]byte("one\ntw"))
	time.Sleep(2 * time.Millisecond)
	between := time.Now()
	log.add([]byte("o\nthree\n"))
	// "two" began before, whatever came of it later.
	if got := string(log.text[log.since(between):]); got != "three\n" {
		t.Errorf("since then %q", got)
	}
	if got := log.since(between.Add(-time.Hour)); got != 0 {
		t.Errorf("since long ago: from %d", got)
	}
	if got := log.since(time.Now().Add(time.Hour)); got != len(log.text) {
		t.Errorf("since tomorrow: from %d of %d", got, len(log.text))
	}
}

func TestWhoWaitsForALogIsToldOfMoreAndOfItsEnd(t *testing.T) {
	pod := &Pod{containers: map[string]*state{"a": {}}}
	text, more := pod.ReadLog("a", 0)
	if len(text) != 0 || more == nil {
		t.Fatalf("%q of a log with nothing in it", text)
	}
	pod.containers["a"].log.add([]byte("line\n"))
	<-more
	text, more = pod.ReadLog("a", 0)
	if string(text) != "line\n" || more == nil {
		t.Fatalf("%q, ended: %v", text, more == nil)
	}
	pod.containers["a"].log.end()
	<-more
	if text, more = pod.ReadLog("a", 5); len(text) != 0 || more != nil {
		t.Fatalf("%q after its end, more to come: %v", text, more != nil)
	}
}
