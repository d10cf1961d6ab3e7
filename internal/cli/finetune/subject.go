package finetune

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spalora/spalora/chat"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
)

// subject is the language model that a run trains, or trains an adapter of.
type subject struct {
	base        *cli.Base
	model       models.CausalLM
	set         *lora.Set // nil: all weights train
	params      []nn.NamedParam
	fingerprint string // of the base, before training
	template    *chat.Template
	dtype       safetensors.DType // of all weights, when saved
}

// openBase opens the checkpoint, or what a model from scratch begins with.
func (r *causalRun) openBase() (*cli.Base, error) {
	if r.fromScratch == "" {
		return cli.OpenBase(r.model, cli.GPT())
	}
	return cli.FromScratch(r.fromScratch, r.tokenizerDir())
}

// tokenizerDir returns the directory with the tokenizer of a model from scratch.
func (r *causalRun) tokenizerDir() string {
	if r.tokenizer == "" {
		return filepath.Dir(r.fromScratch)
	}
	return r.tokenizer
}

// openSubject opens the model and what trains.
func (r *causalRun) openSubject(base *cli.Base, seed uint64) (*subject, error) {
	log := r.console.Log
	s := &subject{base: base}
	var err error
	if s.template, err = base.ChatTemplate(); err != nil {
		return nil, err
	}
	if s.model, err = r.openModel(base, seed); err != nil {
		return nil, err
	}
	if r.given("dropout") {
		nn.SetDropout(s.model, r.dropout)
	}
	s.fingerprint = base.Fingerprint(s.model)
	if r.printModel {
		fmt.Fprintf(r.env.Out, "%s\n\n", s.model)
	}
	if r.full {
		s.dtype, _ = cli.ParseDType("save-dtype", r.saveDType) // checked before
		s.params = nn.Train(s.model)
		log.Info().Msgf("all %d weights are trained", nn.Count(s.model))
		return s, nil
	}
	if s.set, err = r.lora.attach(s.model, base, cli.CausalLanguageModel(), seed, r.given, log); err != nil {
		return nil, err
	}
	s.params = s.set.Params()
	if r.printModel {
		fmt.Fprintf(r.env.Out, "%s\n\n", s.set.Tree(s.model))
	}
	log.Info().Msg(s.set.Summary(s.model))
	return s, nil
}

func (r *causalRun) openModel(base *cli.Base, seed uint64) (models.CausalLM, error) {
	if r.fromScratch != "" {
		return base.FreshCausalLM(seed, r.console.Log)
	}
	m, report, err := base.CausalLM(r.console.Log)
	if err != nil {
		return nil, err
	}
	return m, r.checkFinite(base, report)
}

// adapter returns the set as passes take it: nil, not a nil set, if all weights train.
func (s *subject) adapter() nn.AdapterSet {
	if s.set == nil {
		return nil
	}
	return s.set
}

// kind says what the output directory will hold.
func (s *subject) kind() string {
	if s.set == nil {
		return "model"
	}
	return "adapter"
}

// save writes the adapter, or the whole model, into a directory, each file whole or not at all.
func (s *subject) save(dir string) error {
	if s.set != nil {
		return s.set.Save(dir)
	}
	var weights []lora.MergedWeight
	for _, w := range nn.Weights(s.model) {
		weights = append(weights, lora.MergedWeight{Name: w.Name, Shape: w.Weight.Shape(), Values: w.Weight.Float32()})
	}
	tensors, err := cli.StoreWeights(weights, s.dtype, "save-dtype")
	if err != nil {
		return err
	}
	set := map[string]any{}
	if k, ok := s.model.(nn.Classed); ok {
		set["architectures"] = []string{k.Class()}
	}
	config, err := cli.EditConfig(s.base.Source.Config(), s.dtype, set)
	if err != nil {
		return err
	}
	return cli.ModelFiles{Base: s.base, Config: config, Tensors: tensors}.Write(func(name string, write func(io.Writer) error) error {
		return files.WriteFile(filepath.Join(dir, name), write)
	})
}

// identity is what must be the same when a run is resumed, beside the settings of the loop.
func (r *causalRun) identity(s *subject, d documents) map[string]string {
	id := r.commonIdentity(s.base, s.fingerprint, s.set)
	d.identity(id)
	id["block_size"], id["max_length"], id["too_long"] = fmt.Sprint(r.blockSize), fmt.Sprint(r.maxLength), r.tooLong
	id["train_on_prompt"] = fmt.Sprint(r.trainOnPrompt)
	return id
}

// commonIdentity is what of it all task types have: the base, and how it trains.
func (j *job) commonIdentity(base *cli.Base, fingerprint string, set *lora.Set) map[string]string {
	id := map[string]string{"base model": fingerprint, "config.json": base.ConfigHash()}
	if j.given("dropout") {
		id["dropout"] = fmt.Sprint(j.dropout)
	}
	if set == nil {
		id["full"] = "true"
		return id
	}
	c := set.Config()
	id["lora_r"], id["lora_alpha"], id["lora_dropout"] = fmt.Sprint(c.R), fmt.Sprint(c.Alpha), fmt.Sprint(c.Dropout)
	id["target_modules"], id["use_rslora"], id["modules_to_save"] = c.TargetModules.String(), fmt.Sprint(c.UseRSLoRA), strings.Join(set.Saved(), ",")
	return id
}
