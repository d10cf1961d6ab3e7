package finetune

import (
	"errors"
	"fmt"
	"slices"

	spago "github.com/nlpodyssey/spago/nn"
	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
)

// loraFlags are the flags of the adapter, the same for every task. Names are PEFT's.
type loraFlags struct {
	cfg     lora.Config
	targets []string
	adapter string
	// otherBase allows an adapter that was trained on another base model.
	otherBase bool
}

// add defines the flags. head says what becomes of the head.
func (f *loraFlags) add(fs *pflag.FlagSet, defaults lora.Config, head string) {
	f.cfg = defaults
	c := &f.cfg
	fs.IntVar(&c.R, "lora-r", c.R, "rank")
	fs.Float64Var(&c.Alpha, "lora-alpha", c.Alpha, "numerator of the scale α/r")
	fs.Float32Var(&c.Dropout, "lora-dropout", c.Dropout, "dropout on the adapter's input")
	fs.BoolVar(&c.UseRSLoRA, "use-rslora", false, "scale by α/√r")
	fs.StringSliceVar(&f.targets, "target-modules", nil, "`names` of the layers to adapt, or one regular expression over whole paths, or all-linear; default: PEFT's for the architecture")
	fs.StringSliceVar(&c.ModulesToSave, "modules-to-save", nil, "`names` of modules to train whole and save with the adapter"+head)
	fs.StringVar(&f.adapter, "adapter", "", "start from the adapter in this `directory` and its configuration")
	fs.BoolVar(&f.otherBase, "allow-other-base", false, "start from an --adapter that was trained on another base model")
}

// check reports numbers that have no meaning.
func (f *loraFlags) check() error {
	c := f.cfg
	c.TargetModules = lora.Names(lora.AllLinear) // those of the flag depend on the model
	return c.Check()
}

// attach makes or loads the adapter.
func (f *loraFlags) attach(m spago.Model, base *cli.Base, task cli.Task, seed uint64, given func(string) bool, log zerolog.Logger) (*lora.Set, error) {
	if f.adapter != "" {
		return f.start(m, base, task, given, log)
	}
	c := f.cfg
	c.TaskType, c.BaseModel = task.Type, base.Name
	c.ModulesToSave = append(slices.Clone(task.Saves), c.ModulesToSave...)
	if given("target-modules") || len(f.targets) > 0 { // a task may have defaults of its own
		c.TargetModules = parseTargets(f.targets)
	} else {
		names, err := models.DefaultTargets(base.Info.ModelType)
		if err != nil {
			return nil, cli.UsageError(err)
		}
		c.TargetModules = lora.Names(names...)
	}
	set, err := lora.Attach(m, c, seed)
	if err != nil {
		return nil, cli.UsageError(err)
	}
	for _, name := range set.Missing() {
		if slices.Contains(f.cfg.ModulesToSave, name) {
			return nil, cli.UsageError(fmt.Errorf("--modules-to-save %s: the model has no such module (--print-model shows the names)", name))
		}
	}
	set.SetFingerprint(base.Fingerprint(m))
	set.SetNote(cli.UseNote, task.Name)
	return set, nil
}

// parseTargets reads names, or a single regular expression or all-linear. Only an expression holds other characters than
// names do.
func parseTargets(list []string) lora.Targets {
	if len(list) != 1 {
		return lora.Names(list...)
	}
	for _, r := range list[0] {
		if r != '_' && r != '.' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return lora.Pattern(list[0])
		}
	}
	return lora.Names(list...)
}

// start loads the adapter to go on from. Flags that contradict it are an error; dropout may change.
func (f *loraFlags) start(m spago.Model, base *cli.Base, task cli.Task, given func(string) bool, log zerolog.Logger) (*lora.Set, error) {
	set, err := base.LoadAdapter(f.adapter, m, task, f.otherBase, log)
	if err != nil {
		return nil, err
	}
	c := set.Config()
	var errs []error
	differ := func(flag string, differs bool, is, want any) {
		if given(flag) && differs {
			errs = append(errs, fmt.Errorf("--%s is %v, but the adapter %s has %v; leave the flag out, or start a new adapter", flag, want, f.adapter, is))
		}
	}
	differ("lora-r", c.R != f.cfg.R, c.R, f.cfg.R)
	differ("lora-alpha", c.Alpha != f.cfg.Alpha, c.Alpha, f.cfg.Alpha)
	differ("use-rslora", c.UseRSLoRA != f.cfg.UseRSLoRA, c.UseRSLoRA, f.cfg.UseRSLoRA)
	differ("target-modules", !parseTargets(f.targets).Equal(c.TargetModules), c.TargetModules, parseTargets(f.targets))
	for _, name := range f.cfg.ModulesToSave {
		differ("modules-to-save", !slices.Contains(c.ModulesToSave, name), c.ModulesToSave, name)
	}
	if len(errs) > 0 {
		return nil, cli.UsageError(errors.Join(errs...))
	}
	if given("lora-dropout") {
		set.SetDropout(f.cfg.Dropout)
	}
	if c.TaskType == lora.NoTask {
		set.SetTaskType(task.Type)
	}
	set.SetNote(cli.UseNote, task.Name)
	set.SetBaseModel(base.Name)
	set.SetFingerprint(base.Fingerprint(m))
	return set, nil
}
