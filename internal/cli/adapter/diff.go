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

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/tasks"
)

const diffExamples = `  adapter diff --adapter runs/a --other runs/b`

func diff(env cli.Env, list []task.Descriptor) *cobra.Command {
	var one, other string
	var log cli.LogFlags
	cmd := &cobra.Command{
		Use:   "diff",
		Short: "Compare two adapters",
		Long: `Print in what two adapters for the same base model differ, without the base model: the fields of
adapter_config.json, and for each layer the ranks, the Frobenius norms of the corrections s·B·A, the norm of their
difference as a share of the first, and the cosine of the angle between both. Other tensors, such as heads, follow.
` + task.ExitCodes + ".",
		Example: diffExamples,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Adapters", func(fs *pflag.FlagSet) {
		fs.StringVar(&one, "adapter", "", "`directory` of an adapter")
		fs.StringVar(&other, "other", "", "`directory` of the adapter to compare it with")
	})
	cli.Section(fs, "Messages", log.Add)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		console, err := cli.NewConsole(env, log, cmd.Flags())
		if err != nil {
			return err
		}
		if one == "" || other == "" {
			return cli.UsageError(errors.New("--adapter or --other is missing; give the directories of two adapters"))
		}
		var sides [2]*tasks.AdapterDir
		for i, dir := range []string{one, other} {
			if sides[i], err = tasks.ReadAdapterDir(task.Kinds(list), dir, console.Log); err != nil {
				return err
			}
		}
		return printDiff(env.Out, sides[0].Detached, sides[1].Detached)
	}
	cli.Leaf(cmd)
	return cmd
}

func printDiff(w io.Writer, a, b *lora.Detached) error {
	layers, err := a.Changes(b)
	if err != nil {
		return cli.InputError(err)
	}
	fields, err := changedFields(a.Config, b.Config)
	if err != nil {
		return err
	}
	var out strings.Builder
	for _, f := range fields {
		fmt.Fprintln(&out, f)
	}
	fmt.Fprintf(&out, "%9s %10s %10s %8s %7s  %s\n", "rank", "norm", "other", "change", "cosine", "layer")
	var changed, whole float64
	for _, c := range layers {
		changed, whole = changed+c.Difference*c.Difference, whole+c.Norm*c.Norm
		fmt.Fprintf(&out, "%4d %4d %10.4g %10.4g %8s %7s  %s\n", c.Rank, c.OtherRank, c.Norm, c.OtherNorm,
			share(c.Difference, c.Norm), number("%.3f", c.Cosine), c.Path)
	}
	fmt.Fprintf(&out, "%d layers, change of all corrections: %s\n", len(layers),
		share(math.Sqrt(changed), math.Sqrt(whole)))
	for _, c := range a.RestChanges(b) {
		fmt.Fprintf(&out, "%9s %10.4g %10.4g %8s %7s  %s\n", "", c.Norm, c.OtherNorm, share(c.Difference, c.Norm), "", c.Path)
	}
	_, err = io.WriteString(w, out.String())
	return err
}

// share prints part/whole in percent, and what rounding leaves as 0.
func share(part, whole float64) string {
	if part <= 1e-12*whole {
		return "0%"
	}
	return number("%.3g%%", 100*part/whole)
}

// number prints a number, or – if it is undefined.
func number(format string, v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	return fmt.Sprintf(format, v)
}

// changedFields returns a line for each field of adapter_config.json that differs.
func changedFields(a, b lora.Config) ([]string, error) {
	var sides [2]map[string]json.RawMessage
	for i, c := range []lora.Config{a, b} {
		text, err := json.Marshal(c)
		if err == nil {
			err = json.Unmarshal(text, &sides[i])
		}
		if err != nil {
			return nil, err
		}
	}
	keys := maps.Clone(sides[0])
	maps.Copy(keys, sides[1])
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		x, y := string(sides[0][key]), string(sides[1][key])
		if x == "" {
			x = "default"
		}
		if y == "" {
			y = "default"
		}
		if x != y {
			lines = append(lines, fmt.Sprintf("%s: %s → %s", key, x, y))
		}
	}
	return lines, nil
}
