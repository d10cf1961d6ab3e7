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

const showExamples = `  adapter show --adapter runs/mine`

func show(env cli.Env, list []task.Descriptor) *cobra.Command {
	r := &attached{env: env, list: list}
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print what is in an adapter",
		Long: `Print the configuration, the classes, the notes and the tensors of an adapter, and for each layer its rank, the
scale s, the Frobenius norm of the correction s·B·A and its effective rank: the exponential of the entropy of the
shares of its singular values. It is far below the rank if adapter reduce can shrink the adapter at little loss. With
--model the modules of the base model with the adapter follow, and the layers that target_modules may name.`,
		Example: showExamples,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Adapter", func(fs *pflag.FlagSet) {
		fs.StringVar(&r.adapter.Dir, "adapter", "", "`directory` of the adapter")
		fs.StringVar(&r.model, "model", "", "`directory` of its base model, or GGUF file, to print the modules of")
		r.addTask(fs)
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
		if err := printAdapter(env.Out, r.adapter.Dir); err != nil || r.model == "" {
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

func printAdapter(w io.Writer, dir string) error {
	if err := base.CheckAdapterDir(dir); err != nil {
		return err
	}
	c, warnings, err := lora.ReadConfig(dir)
	if err != nil {
		return base.Input(err)
	}
	labels, err := base.ReadLabels(dir)
	if err != nil {
		return err
	}
	tensors, err := lora.Tensors(dir)
	if err != nil {
		return base.Input(err)
	}
	notes, err := lora.ReadNotes(dir)
	if err != nil {
		return base.Input(err)
	}
	config, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", config)
	for _, text := range warnings {
		fmt.Fprintf(&b, "warning: %s\n", text)
	}
	if labels != nil {
		if labels.Problem != nil {
			fmt.Fprintf(&b, "%v\n", *labels.Problem)
		}
		if len(labels.Names) > 0 {
			fmt.Fprintf(&b, "%d classes: %s\n", len(labels.Names), strings.Join(labels.Names, ", "))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(notes)) {
		fmt.Fprintf(&b, "%s: %s\n", name, notes[name])
	}
	values := 0
	for _, t := range tensors {
		n := 1
		for _, d := range t.Shape {
			n *= d
		}
		values += n
		fmt.Fprintf(&b, "%-5s %-14s %s\n", t.DType, shape(t.Shape), t.Path)
	}
	fmt.Fprintf(&b, "%d tensors, %d values\n", len(tensors), values)
	writeLayers(&b, dir)
	_, err = io.WriteString(w, b.String())
	return err
}

// writeLayers prints rank, norm and effective rank of each layer, or why there are none.
func writeLayers(b *strings.Builder, dir string) {
	d, _, err := lora.ReadDetached(dir)
	if err != nil {
		fmt.Fprintf(b, "no norms of corrections: %v\n", err)
		return
	}
	fmt.Fprintf(b, "%4s %8s %10s %9s  %s\n", "rank", "scale", "norm", "effective", "layer")
	for _, l := range d.Layers {
		norm, effective := math.NaN(), math.NaN()
		if singular, err := l.Spectrum(); err == nil {
			norm, effective = lora.Norm(singular), lora.EffectiveRank(singular)
		}
		fmt.Fprintf(b, "%4d %8.4g %10s %9s  %s\n", l.Rank, l.Scale, number("%.4g", norm), number("%.2f", effective), l.Path)
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
