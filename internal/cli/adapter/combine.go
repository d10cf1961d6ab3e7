package adapter

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/tasks"
)

// combineRun is one run of "adapter combine".
type combineRun struct {
	list     []task.Descriptor
	adapters []string
	kind     string
	majority string
	o        lora.Combination
	out      output
	log      cli.LogFlags

	env cli.Env
}

const combineExamples = `  # the weighted sum, with the ranks of both
  adapter combine --adapters runs/a,runs/b --weights 0.7,0.3 --combination-type cat --output-dir both

  # a without half of what b learned, at the rank of a
  adapter combine --adapters runs/a,runs/b --weights 1,-0.5 --combination-type svd --output-dir less`

func combine(env cli.Env, list []task.Descriptor) *cobra.Command {
	r := &combineRun{env: env, list: list}
	cmd := &cobra.Command{
		Use:   "combine",
		Short: "Make one adapter of several",
		Long: `Mix adapters for the same base model as PEFT's add_weighted_adapter does, without the base model, and write the
result as an adapter. Weights may be negative.

cat keeps all ranks: the correction of the result is the weighted sum of the corrections. svd is the best approximation
of that sum with a lower rank. linear, ties, dare_linear, dare_ties and magnitude_prune mix all A and all B separately,
an approximation that needs equal ranks; with _svd behind their names they mix the corrections, which takes longer.

At most one adapter may have a head or other modules_to_save, since these cannot be mixed. Labels, remembered settings
and other files must be equal where several adapters have them; of settings the first adapter's count. The directory
appears complete or not at all.
` + task.ExitCodes + ".",
		Example: combineExamples,
		RunE:    func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	var types []string
	for _, t := range lora.CombinationTypes() {
		types = append(types, string(t))
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Adapters", func(fs *pflag.FlagSet) {
		fs.StringSliceVar(&r.adapters, "adapters", nil, "`directories` of the adapters, separated by commas")
		fs.Float64SliceVar(&r.o.Weights, "weights", nil, "`number` for each adapter, separated by commas")
		fs.BoolVar(&r.o.OtherBase, "allow-other-base", false, "combine adapters that were trained on different base models")
	})
	cli.Section(fs, "Combination", func(fs *pflag.FlagSet) {
		fs.StringVar(&r.kind, "combination-type", string(lora.SVD), strings.Join(types, ", "))
		fs.IntVar(&r.o.SVDRank, "svd-rank", 0, "rank of the result of types that end in svd; 0: the largest of the adapters")
		fs.Float64Var(&r.o.SVDClamp, "svd-clamp", 0,
			"quantile of the values of both factors of a decomposition at which they are limited; 0: none")
		fs.Float64Var(&r.o.Density, "density", 0,
			"share of values that ties, dare_… and magnitude_prune keep, above 0 and at most 1")
		fs.StringVar(&r.majority, "majority-sign-method", "total",
			"total or frequency: the sign that wins in ties and dare_ties is that of the sum, or the one that is more frequent")
		fs.Uint64Var(&r.o.Seed, "seed", 42, "of the draws of dare_…")
	})
	cli.Section(fs, "Output", r.out.add)
	cli.Section(fs, "Messages", r.log.Add)
	cli.Leaf(cmd)
	return cmd
}

func (r *combineRun) run(cmd *cobra.Command) error {
	console, err := cli.NewConsole(r.env, r.log, cmd.Flags())
	if err != nil {
		return err
	}
	if err := r.checkFlags(cmd.Flags()); err != nil {
		return cli.UsageError(err)
	}
	a, err := tasks.Combine(task.Kinds(r.list), r.adapters, r.o, console.Log)
	if err != nil {
		return err
	}
	if err := cmd.Context().Err(); err != nil {
		return err
	}
	if err := a.Write(r.out.dir, r.out.overwrite); err != nil {
		return err
	}
	fmt.Fprintf(r.env.Out, "combined %d adapters (%s): %d layers, r=%d\nadapter: %s\n", len(r.adapters), r.o.Type,
		len(a.Layers), a.Config.R, r.out.dir)
	return nil
}

// checkFlags checks everything that can be checked before a file is opened.
func (r *combineRun) checkFlags(fs *pflag.FlagSet) error {
	r.o.Type, r.o.Frequency = lora.CombinationType(r.kind), r.majority == "frequency"
	var errs []error
	if len(r.adapters) == 0 {
		errs = append(errs, errors.New("--adapters is missing; give the directories of the adapters, separated by commas"))
	}
	if len(r.o.Weights) == 0 {
		errs = append(errs, errors.New("--weights is missing; give a number for each adapter, separated by commas"))
	}
	if r.majority != "total" && r.majority != "frequency" {
		errs = append(errs, fmt.Errorf("--majority-sign-method is %q; want total or frequency", r.majority))
	}
	if fs.Changed("seed") && !r.o.Type.Draws() {
		errs = append(errs, fmt.Errorf("--seed acts only on types with dare, not on %s; leave it out", r.o.Type))
	}
	if len(errs) == 0 {
		errs = append(errs, r.o.Check(len(r.adapters)))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return r.out.check(r.adapters, "one of --adapters", replaceableAdapter(task.Kinds(r.list)))
}
