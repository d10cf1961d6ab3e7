package tasks

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
)

// attach makes a new adapter with a configuration, or loads the one to start from.
func (s *Session) attach(m *Subject, c lora.Config) (*lora.Set, error) {
	r := s.Run
	if r.Adapter != "" {
		return s.start(m)
	}
	c.TaskType, c.BaseModel = m.Type.PEFT, s.Base.Name
	c.ModulesToSave = append(slices.Clone(m.Type.Saves), trimmed(c.ModulesToSave)...)
	c.TargetModules = parseTargets(r.TargetModules)
	if len(r.TargetModules) == 0 {
		names, err := models.DefaultTargets(s.Base.Info.ModelType)
		if err != nil {
			return nil, base.Settings(err)
		}
		c.TargetModules = lora.Names(names...)
	}
	set, err := s.fresh(m, c)
	if err != nil {
		return nil, base.Settings(err)
	}
	for _, name := range set.Missing() {
		if slices.Contains(trimmed(r.ModulesToSave), name) {
			return nil, base.Settings(fmt.Errorf("`modules_to_save %s`: the model has no such module; give one of its names "+
				"(`print_model` shows them)", name))
		}
	}
	for _, text := range set.Idle() {
		s.Log.Warn().Msg(text + "; it has no effect")
	}
	set.SetNote(base.UseNote, m.Type.Name)
	return set, nil
}

// fresh makes a new adapter, which trains the rows of the tokens that were added.
func (s *Session) fresh(m *Subject, c lora.Config) (*lora.Set, error) {
	if len(s.added) == 0 {
		return lora.Attach(m.Net, c, s.Config.Seed)
	}
	set, err := lora.AttachTokens(m.Net, c, s.Config.Seed, s.added)
	if err != nil {
		return nil, fmt.Errorf("`add_tokens`: %w", err)
	}
	return set, nil
}

// parseTargets reads names, with blanks around them or not, or a single regular expression or all-linear. Only an
// expression has characters that names do not have; commas in it have made a list of it.
func parseTargets(list []string) lora.Targets {
	names := trimmed(list)
	for _, r := range strings.Join(names, "") {
		if r != '_' && r != '.' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return lora.Pattern(strings.Join(list, ","))
		}
	}
	return lora.Names(names...)
}

// trimmed returns names without the blanks around them.
func trimmed(names []string) []string {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = strings.TrimSpace(n)
	}
	return list
}

// start loads the adapter to continue training. Settings that contradict it are errors; its dropout may change.
func (s *Session) start(m *Subject) (*lora.Set, error) {
	r := s.Run
	set, err := m.load(base.Adapter{Dir: r.Adapter, OtherBase: r.AllowOtherBase}, m.Type, s.Log, s.Pool)
	if err != nil {
		return nil, err
	}
	c := set.Config()
	var errs []error
	differ := func(differs bool, option string, is, want any) {
		if differs {
			errs = append(errs, fmt.Errorf("`%s` is %v, but the adapter %s has %v; leave it out, or start a new adapter",
				option, want, r.Adapter, is))
		}
	}
	differ(r.LoraR != 0 && r.LoraR != c.R, "lora_r", c.R, r.LoraR)
	if r.LoraAlpha != nil {
		differ(*r.LoraAlpha != c.Alpha, "lora_alpha", c.Alpha, *r.LoraAlpha)
	}
	differ(r.UseRSLoRA && !c.UseRSLoRA, "use_rslora", c.UseRSLoRA, r.UseRSLoRA)
	if init, err := lora.ParseInit(r.InitLoraWeights); err == nil && r.InitLoraWeights != "" {
		differ(init != c.InitLoraWeights, "init_lora_weights", c.InitLoraWeights, init)
	}
	differ(r.UseDoRA && !c.UseDoRA, "use_dora", c.UseDoRA, r.UseDoRA)
	differ(r.LoRABias && !c.LoRABias, "lora_bias", c.LoRABias, r.LoRABias)
	if r.Bias != "" {
		is := cmp.Or(string(c.Bias), "none")
		differ(r.Bias != is, "bias", is, r.Bias)
	}
	if len(r.TargetModules) > 0 {
		targets := parseTargets(r.TargetModules)
		differ(!targets.Equal(c.TargetModules), "target_modules", c.TargetModules, targets)
	}
	if len(r.ExcludeModules) > 0 {
		names := parseTargets(r.ExcludeModules)
		differ(!names.Equal(c.ExcludeModules), "exclude_modules", c.ExcludeModules, names)
	}
	differ(len(r.LayersToTransform) > 0 && !slices.Equal(r.LayersToTransform, c.LayersToTransform), "layers_to_transform",
		c.LayersToTransform, r.LayersToTransform)
	differ(len(r.LayersPattern) > 0 && !slices.Equal(trimmed(r.LayersPattern), c.LayersPattern), "layers_pattern",
		c.LayersPattern, r.LayersPattern)
	differ(len(r.RankPattern) > 0 && !slices.Equal(r.RankPattern, c.RankPattern), "rank_pattern", c.RankPattern,
		r.RankPattern)
	differ(len(r.AlphaPattern) > 0 && !slices.Equal(r.AlphaPattern, c.AlphaPattern), "alpha_pattern", c.AlphaPattern,
		r.AlphaPattern)
	differ(len(r.TrainableTokenIndices) > 0 && !r.TrainableTokenIndices.Equal(c.TrainableTokenIndices),
		"trainable_token_indices", c.TrainableTokenIndices, r.TrainableTokenIndices)
	differ(r.EnsureWeightTying && !c.EnsureWeightTying, "ensure_weight_tying", c.EnsureWeightTying, true)
	for _, name := range trimmed(r.ModulesToSave) {
		differ(!slices.Contains(c.ModulesToSave, name), "modules_to_save", c.ModulesToSave, name)
	}
	if len(errs) > 0 {
		return nil, base.Settings(errors.Join(errs...))
	}
	if err := set.SaveModules(m.Net, m.Adds...); err != nil {
		return nil, err
	}
	if r.LoraDropout != nil {
		set.SetDropout(*r.LoraDropout)
	}
	if c.TaskType == lora.NoTask {
		set.SetTaskType(m.Type.PEFT)
	}
	set.SetNote(base.UseNote, m.Type.Name)
	set.SetBaseModel(s.Base.Name)
	return set, nil
}
