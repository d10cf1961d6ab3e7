package cli

import (
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/spalora/spalora/train"
)

// LogFlags choose which messages a command prints on standard error, and their format.
type LogFlags struct {
	Format string
	Quiet  bool
}

// Add defines the flags.
func (l *LogFlags) Add(fs *pflag.FlagSet) {
	fs.StringVar(&l.Format, "log-format", "text", "text or json: format of the messages on standard error")
	fs.BoolVar(&l.Quiet, "quiet", false, "only warnings and errors on standard error")
}

// Console is a command's standard error: log lines, and under them a progress bar if it is a terminal.
type Console struct {
	Log        zerolog.Logger
	Perplexity bool // show the perplexity of each step beside its loss
	env        Env
	flags      *pflag.FlagSet
	quiet      bool
	json       bool

	mu   sync.Mutex
	bars *mpb.Progress // nil: none now
	bar  *mpb.Bar
	last time.Time // of the last plain line
	tail string    // text to the right of the bar

	began time.Time // of the run in this process
	done  int       // steps that an earlier process did
}

// NewConsole opens the console that the flags ask for. Settings that messages name in backquotes are printed as flags
// of the command.
func NewConsole(env Env, l LogFlags, flags *pflag.FlagSet) (*Console, error) {
	c := &Console{env: env, flags: flags, quiet: l.Quiet}
	switch l.Format {
	case "json":
		c.json = true
		c.Log = zerolog.New(c).With().Timestamp().Logger()
	case "text":
		c.Log = zerolog.New(zerolog.ConsoleWriter{Out: c, NoColor: !env.Terminal,
			PartsExclude: []string{zerolog.TimestampFieldName}, FormatLevel: level})
	default:
		return nil, UsageError(fmt.Errorf("--log-format is %q; want text or json", l.Format))
	}
	if l.Quiet {
		c.Log = c.Log.Level(zerolog.WarnLevel)
	}
	return c, nil
}

// level prints nothing for plain information.
func level(l any) string {
	if l == zerolog.LevelInfoValue {
		return ""
	}
	return strings.ToUpper(fmt.Sprint(l)) + ":"
}

// Write prints above the progress bar.
func (c *Console) Write(p []byte) (int, error) {
	c.mu.Lock()
	bars := c.bars
	c.mu.Unlock()
	text := OptionsAsFlags(c.flags, string(p))
	var to io.Writer = c.env.Err
	switch {
	case bars != nil:
		to = bars
	case !c.json:
		text = strings.TrimLeft(text, " ")
	}
	if _, err := io.WriteString(to, text); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Start begins the progress of a run.
func (c *Console) Start(p train.Plan) {
	c.Log.Info().Msgf("%d steps (%d an epoch) over %d rows, %d tokens an epoch",
		p.Steps, p.StepsPerEpoch, p.Rows, p.Tokens)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began, c.done = time.Now(), p.Done
	if !c.env.Terminal || c.quiet || c.json {
		return
	}
	c.bars = mpb.New(mpb.WithOutput(c.env.Err), mpb.WithWidth(30), mpb.WithRefreshRate(200*time.Millisecond),
		mpb.WithAutoRefresh())
	c.bar = c.bars.AddBar(0, // not yet the number of steps: a bar that is full takes no more lines above it
		mpb.PrependDecorators(decor.CountersNoUnit("step %d/%d ")),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { c.mu.Lock(); defer c.mu.Unlock(); return c.tail })))
	c.bar.SetTotal(int64(p.Steps), false)
	c.bar.SetCurrent(int64(p.Done))
}

// Step shows a step: on the bar, or as a line every few seconds.
func (c *Console) Step(s train.StepInfo) {
	c.mu.Lock()
	left := eta(time.Since(c.began), s.Step-c.done, s.Steps-s.Step)
	c.mu.Unlock()
	perplexity := ""
	if c.Perplexity {
		perplexity = fmt.Sprintf(" perplexity %.2f", math.Exp(s.Loss))
	}
	tail := fmt.Sprintf("epoch %.2f loss %.4f%s lr %.2e %.0f tokens/s ETA %v",
		s.Epoch, s.Loss, perplexity, s.LearningRate, s.TokensPerSecond, left)
	c.mu.Lock()
	c.tail = tail
	bar := c.bar
	now := time.Now()
	due := now.Sub(c.last) >= 5*time.Second || s.Step == s.Steps
	if bar == nil && due {
		c.last = now
	}
	c.mu.Unlock()
	if bar != nil {
		bar.SetCurrent(int64(s.Step))
	} else if due {
		c.Log.Info().Msgf("step %d/%d %s", s.Step, s.Steps, tail)
	}
}

// eta estimates the time for the steps that are left from the time that those done took.
func eta(spent time.Duration, done, left int) time.Duration {
	return (spent * time.Duration(left) / time.Duration(max(done, 1))).Round(time.Second)
}

// Evaluation shows the outcome of an evaluation.
func (c *Console) Evaluation(e train.Evaluation) {
	c.Log.Info().Msgf("step %d evaluation: %s", e.Step, MetricsText(e.Metrics))
}

// Undefined logs why metrics of an evaluation outside the training loop are not defined; the loop logs that of its own
// evaluations.
func (c *Console) Undefined(m train.Metrics) {
	for _, v := range m.Values {
		v.LogReason(c.Log)
	}
}

// Stop ends the progress.
func (c *Console) Stop() {
	c.mu.Lock()
	bars, bar := c.bars, c.bar
	c.bars, c.bar = nil, nil
	c.mu.Unlock()
	if bars == nil {
		return
	}
	bar.Abort(false) // it stays on the screen
	bars.Wait()
}

// MetricsText prints metrics on one line.
func MetricsText(m train.Metrics) string {
	var parts []string
	for _, v := range m.Values {
		value := fmt.Sprintf("%.4f", v.Value)
		if v.Undefined() {
			value = "undefined"
		}
		parts = append(parts, v.Name+" "+value)
	}
	return strings.Join(parts, ", ")
}
