package adapter

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/tasks"
)

const showExamples = `  adapter show --adapter runs/mine

  # the layers with the largest corrections
  adapter show --adapter runs/mine --json | jq -r '.layers | sort_by(-.norm)[:5][] | "\(.norm) \(.name)"'`

func show(env cli.Env, list []task.Descriptor) *cobra.Command {
	r := &attached{env: env, list: list}
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print what is in an adapter",
		Long: `Print the configuration, the classes, the notes and the tensors of an adapter, and for each layer its rank, the
scale s, the Frobenius norm of the correction s·B·A and its effective rank: the exponential of the entropy of the
shares of its singular values. It is far below the rank if adapter reduce can shrink the adapter at little loss. With
--model the modules of the base model with the adapter follow, and the layers that target_modules may name.

With --json it is one object: directory, config, warnings, problem_type, labels, notes, tensors (name, dtype,
shape), values (their number), and layers (name, rank, scale, norm, effective_rank); layers_error says why there are
no layers.`,
		Example: showExamples,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Adapter", func(fs *pflag.FlagSet) {
		fs.StringVar(&r.adapter.Dir, "adapter", "", "`directory` of the adapter")
		fs.StringVar(&r.model, "model", "", "`directory` of its base model, or GGUF file, to print the modules of")
		r.addTask(fs)
	})
	asJSON := false
	cli.Section(fs, "Output", func(fs *pflag.FlagSet) {
		fs.BoolVar(&asJSON, "json", false, "write one JSON object, in one line")
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if r.adapter.Dir == "" {
			return cli.UsageError(errors.New("--adapter is missing; give the directory of an adapter"))
		}
		for _, name := range []string{"allow-other-base", "problem-type", "labels", "task"} {
			if r.model == "" && cmd.Flags().Changed(name) {
				return cli.UsageError(fmt.Errorf("--%s acts only with --model; give the base model, or leave it out", name))
			}
		}
		if asJSON && r.model != "" {
			return cli.UsageError(errors.New("--json has no place for the modules of --model; leave one of them out"))
		}
		d, err := describe(r.adapter.Dir)
		if err != nil {
			return err
		}
		if asJSON {
			return task.WriteLine(env.Out, d)
		}
		if err := d.print(env.Out); err != nil || r.model == "" {
			return err
		}
		if r.console, err = cli.NewConsole(env, cli.LogFlags{Format: "text", Quiet: true}, cmd.Flags()); err != nil {
			return err
		}
		m, err := r.open()
		if err != nil {
			return err
		}
		fmt.Fprintf(env.Out, "\n%s\n\n%s", m.Tree(), candidates(m))
		return r.close()
	}
	cli.Leaf(cmd)
	return cmd
}

// description is what is in an adapter, as show prints it, or writes it as JSON.
type description struct {
	Directory string            `json:"directory"`
	Config    lora.Config       `json:"config"` // of adapter_config.json, with defaults
	Warnings  []string          `json:"warnings,omitempty"`
	Problem   string            `json:"problem_type,omitempty"`
	Labels    []string          `json:"labels,omitempty"`
	Notes     map[string]string `json:"notes,omitempty"`
	Tensors   []tensor          `json:"tensors"`
	Values    int               `json:"values"` // of all tensors
	Layers    []layer           `json:"layers"`
	NoLayers  string            `json:"layers_error,omitempty"` // why there are no layers
}

// tensor is a tensor of an adapter's file.
type tensor struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []int  `json:"shape"`
}

// layer is an adapted layer. Norm and Effective are nil if its correction is not finite.
type layer struct {
	Name      string   `json:"name"`
	Rank      int      `json:"rank"`
	Scale     float64  `json:"scale"`
	Norm      *float64 `json:"norm"`           // of the correction s·B·A, Frobenius
	Effective *float64 `json:"effective_rank"` // exponential of the entropy of the shares of the singular values
}

// describe reads an adapter.
func describe(dir string) (*description, error) {
	if err := base.CheckAdapterDir(dir); err != nil {
		return nil, err
	}
	c, warnings, err := lora.ReadConfig(dir)
	if err != nil {
		return nil, base.Input(err)
	}
	d := &description{Directory: dir, Config: c, Warnings: warnings, Tensors: []tensor{}, Layers: []layer{}}
	labels, err := base.ReadLabels(dir)
	if err != nil {
		return nil, err
	}
	if labels != nil {
		if d.Labels = labels.Names; labels.Problem != nil {
			d.Problem = labels.Problem.String()
		}
	}
	tensors, err := lora.Tensors(dir)
	if err != nil {
		return nil, base.Input(err)
	}
	if d.Notes, err = lora.ReadNotes(dir); err != nil {
		return nil, base.Input(err)
	}
	for _, t := range tensors {
		n := 1
		for _, size := range t.Shape {
			n *= size
		}
		d.Values += n
		d.Tensors = append(d.Tensors, tensor{t.Path, string(t.DType), t.Shape})
	}
	detached, _, err := lora.ReadDetached(dir)
	if err != nil {
		d.NoLayers = cli.OneLine(err)
		return d, nil
	}
	for _, l := range detached.Layers {
		x := layer{Name: l.Path, Rank: l.Rank, Scale: l.Scale}
		if singular, err := l.Spectrum(); err == nil {
			norm, effective := lora.Norm(singular), lora.EffectiveRank(singular)
			x.Norm, x.Effective = &norm, &effective
		}
		d.Layers = append(d.Layers, x)
	}
	return d, nil
}

// print writes the description as text.
func (d *description) print(w io.Writer) error {
	config, err := json.MarshalIndent(d.Config, "", "  ")
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", config)
	for _, text := range d.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", text)
	}
	if d.Problem != "" {
		fmt.Fprintf(&b, "%s\n", d.Problem)
	}
	if len(d.Labels) > 0 {
		fmt.Fprintf(&b, "%d classes: %s\n", len(d.Labels), strings.Join(d.Labels, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(d.Notes)) {
		fmt.Fprintf(&b, "%s: %s\n", name, d.Notes[name])
	}
	for _, t := range d.Tensors {
		fmt.Fprintf(&b, "%-5s %-14s %s\n", t.DType, shape(t.Shape), t.Name)
	}
	fmt.Fprintf(&b, "%d tensors, %d values\n", len(d.Tensors), d.Values)
	d.printLayers(&b)
	_, err = io.WriteString(w, b.String())
	return err
}

// printLayers prints rank, norm and effective rank of each layer, or why there are none.
func (d *description) printLayers(b *strings.Builder) {
	if d.NoLayers != "" {
		fmt.Fprintf(b, "no norms of corrections: %s\n", d.NoLayers)
		return
	}
	fmt.Fprintf(b, "%4s %8s %10s %9s  %s\n", "rank", "scale", "norm", "effective", "layer")
	for _, l := range d.Layers {
		norm, effective := math.NaN(), math.NaN()
		if l.Norm != nil {
			norm, effective = *l.Norm, *l.Effective
		}
		fmt.Fprintf(b, "%4d %8.4g %10s %9s  %s\n", l.Rank, l.Scale, number("%.4g", norm), number("%.2f", effective), l.Name)
	}
}

// candidates prints the layers that target_modules may name, by the last part of their names.
func candidates(m *tasks.Merging) string {
	adapted := map[string]int{}
	for _, p := range m.Set.Params() {
		path := strings.TrimPrefix(p.Name, "base_model.model.")
		for _, ending := range []string{".lora_A.weight", ".lora_embedding_A"} {
			if layer, ok := strings.CutSuffix(path, ending); ok {
				adapted[layer[strings.LastIndexByte(layer, '.')+1:]]++
			}
		}
	}
	sizes, counts := map[string][]string{}, map[string]int{}
	var names []string
	for _, c := range m.Candidates() {
		name := c.Path[strings.LastIndexByte(c.Path, '.')+1:]
		if counts[name]++; counts[name] == 1 {
			names = append(names, name)
		}
		size := fmt.Sprintf("%d→%d", c.In, c.Out)
		if c.Table {
			size = fmt.Sprintf("table of %d×%d", c.In, c.Out)
		}
		if !slices.Contains(sizes[name], size) {
			sizes[name] = append(sizes[name], size)
		}
	}
	var b strings.Builder
	b.WriteString("candidates for target_modules:\n")
	for _, name := range names {
		fmt.Fprintf(&b, "  %s: %d layers, %s", name, counts[name], strings.Join(sizes[name], ", "))
		if n := adapted[name]; n > 0 {
			fmt.Fprintf(&b, "; %d adapted", n)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// shape prints sizes as 8×384.
func shape(sizes []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(sizes), "[]"), " ", "×")
}
