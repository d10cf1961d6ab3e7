package transcribe

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strings"
)

// WriteText writes the text of each segment in a line of its own, as OpenAI's whisper writes txt files.
func WriteText(w io.Writer, t *Transcript) error {
	b := bufio.NewWriter(w)
	for _, s := range t.Segments {
		fmt.Fprintln(b, strings.TrimSpace(s.Text))
	}
	return b.Flush()
}

// WriteSRT writes the segments as SubRip subtitles, as OpenAI's whisper does: a number, the times as 00:00:01,500, the
// text, an empty line.
func WriteSRT(w io.Writer, t *Transcript) error {
	b := bufio.NewWriter(w)
	for i, s := range t.Segments {
		fmt.Fprintf(b, "%d\n%s --> %s\n%s\n\n", i+1, clock(s.Start, true, ','), clock(s.End, true, ','), caption(s.Text))
	}
	return b.Flush()
}

// WriteVTT writes the segments as WebVTT subtitles, as OpenAI's whisper does: after the line WEBVTT, the times as
// 00:01.500, with hours if there are any, the text, an empty line.
func WriteVTT(w io.Writer, t *Transcript) error {
	b := bufio.NewWriter(w)
	fmt.Fprint(b, "WEBVTT\n\n")
	for _, s := range t.Segments {
		fmt.Fprintf(b, "%s --> %s\n%s\n\n", clock(s.Start, false, '.'), clock(s.End, false, '.'), caption(s.Text))
	}
	return b.Flush()
}

// caption returns the text of a subtitle, in which an arrow would look like a line of times.
func caption(text string) string { return strings.ReplaceAll(strings.TrimSpace(text), "-->", "->") }

// clock returns a time, rounded to milliseconds, as minutes, seconds and milliseconds, with hours if there are any or
// if they are wanted in any case.
func clock(seconds float64, hours bool, point rune) string {
	ms := int64(math.RoundToEven(seconds * 1000))
	text := fmt.Sprintf("%02d:%02d%c%03d", ms/60_000%60, ms/1000%60, point, ms%1000)
	if h := ms / 3_600_000; hours || h > 0 {
		text = fmt.Sprintf("%02d:%s", h, text)
	}
	return text
}
